// Generated from protos/ by generate.mjs. Do not edit.

export {
  ApiVersion,
  Connection,
  ConnectionSettings,
  ConsentRule,
  CreatedAtFallback,
  Destination,
  DestinationSettings,
  EmptyStrings,
  EventIds,
  GroupRelationships,
  IdentifyFallback,
  Region,
  ReservedProperties,
  SettingProblem,
} from "./ciosidecar/v1/destination.js";
export {
  Batch,
  Item,
  Json,
  Message,
} from "./ciosidecar/v1/event.js";
export {
  PreparedRequest,
  Request,
  RequestTemplate,
} from "./ciosidecar/v1/request.js";
export {
  Delivery,
  Detail,
  Error,
  ErrorCode,
  ErrorType,
  FailedItem,
  FilterReason,
  ItemRef,
  Results,
  Warning,
  WarningCode,
} from "./ciosidecar/v1/result.js";
export {
  CheckDestinationRequest,
  CheckDestinationResponse,
  DeliveryOptions,
  Drain,
  Feature,
  Finish,
  GetCapabilitiesRequest,
  GetCapabilitiesResponse,
  Limits,
  Open,
  Opened,
  Probe,
  SidecarServiceClient,
  SidecarServiceService,
  TransformRequest,
  TransformResponse,
  TransformStreamRequest,
  TransformStreamResponse,
  UpsertDestinations,
  type SidecarServiceServer,
} from "./ciosidecar/v1/service.js";
