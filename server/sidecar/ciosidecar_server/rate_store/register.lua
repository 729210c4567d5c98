-- Note that a sidecar is there, or that it ends.
--
-- KEYS  1: sorted set of all sidecars
-- ARGV  1: sidecar   2: how long it counts as there, s   3: 1 if it is there, 0 if it ends
-- Returns the number of sidecars.
local moment = redis.call('TIME')
local now = tonumber(moment[1]) * 1000000 + tonumber(moment[2])
local kept = tonumber(ARGV[2]) * 1000000
if ARGV[3] == '1' then
  redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])
else
  redis.call('ZREM', KEYS[1], ARGV[1])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - kept))
-- The host's clock may have gone back.
redis.call('ZREMRANGEBYSCORE', KEYS[1], string.format('%.0f', now + 1), '+inf')
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', 2 * kept / 1000))
return redis.call('ZCARD', KEYS[1])
