/** The server's nouns, under the names this code uses; generated from its OpenAPI document. */
import type { components, operations } from './schema'

type Schemas = components['schemas']

export type TraceSummary = Schemas['TraceSummary']
export type SpanSkeleton = Schemas['SpanSkeleton']
export type Span = Schemas['Span']
export type SpanEvent = Schemas['SpanEvent']
export type Agent = Schemas['Agent']
export type Message = Schemas['Message']
export type MessageType = Message['type']
export type Graph = Schemas['Graph']
export type GraphNode = Schemas['GraphNode']
export type GraphEdge = Schemas['GraphEdge']
export type Failure = Schemas['Failure']
export type Review = Failure['review']
export type Plugin = Schemas['Plugin']
export type RejectedSpan = Schemas['RejectedSpan']
export type Health = Schemas['Health']
export type Session = Schemas['Session']
export type Problem = Schemas['Problem']
export type TraceListing = Schemas['Listing_TraceSummary_']
export type TraceQuery = NonNullable<operations['listTraces']['parameters']['query']>
export type Stats = Schemas['Stats']
