"""Several worker processes under one parent. The parent imports neither gRPC nor the server."""
