/** What this UI asks of the server about replays, experiments and comparisons. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { client, unwrap } from './client'
import type { Checkpoint, CheckpointState, Diff, ExperimentResult, Family, NewExperiment, NewReplay, Replay, Worker } from './types'

const EVERY_MS = 1000

const ENDED: ReadonlySet<Replay['status']> = new Set<Replay['status']>(['succeeded', 'failed', 'stopped', 'cancelled', 'simulated'])

export function hasEnded(replay: Replay): boolean {
  return ENDED.has(replay.status)
}

/** Every checkpoint of a trace, without their states. */
export function useCheckpoints(traceId: string) {
  return useQuery({
    queryKey: ['trace', traceId, 'checkpoints'],
    queryFn: async ({ signal }): Promise<Checkpoint[]> =>
      (await unwrap(client.GET('/api/traces/{trace_id}/checkpoints', { params: { path: { trace_id: traceId }, query: { limit: 10_000 } }, signal }))).items,
  })
}

/** One checkpoint with its state; a checkpoint never changes. */
export function useCheckpoint(traceId: string, checkpointId: string | null) {
  return useQuery({
    enabled: checkpointId !== null,
    queryKey: ['checkpoint', traceId, checkpointId],
    staleTime: Infinity,
    structuralSharing: false,
    queryFn: ({ signal }): Promise<CheckpointState> =>
      unwrap(client.GET('/api/traces/{trace_id}/checkpoints/{checkpoint_id}', { params: { path: { trace_id: traceId, checkpoint_id: checkpointId ?? '' } }, signal })),
  })
}

/** The checkpoint to begin at, to replay from just before a message. */
export function useCheckpointBefore(traceId: string, messageId: string | null) {
  return useQuery({
    enabled: messageId !== null,
    queryKey: ['checkpoint-before', traceId, messageId],
    staleTime: Infinity,
    retry: false,
    queryFn: ({ signal }): Promise<CheckpointState> =>
      unwrap(client.GET('/api/messages/{message_id}/checkpoint', { params: { path: { message_id: messageId ?? '' }, query: { trace_id: traceId } }, signal })),
  })
}

export function useReplays(trace: string | undefined) {
  return useQuery({
    queryKey: ['replays', trace],
    queryFn: async ({ signal }): Promise<Replay[]> => (await unwrap(client.GET('/api/replays', { params: { query: { trace, limit: 200 } }, signal }))).items,
    refetchInterval: (query) => (query.state.data?.every(hasEnded) ? 5 * EVERY_MS : EVERY_MS),
  })
}

/** One replay, looked at again every second until it has ended. */
export function useReplay(replayId: string) {
  return useQuery({
    queryKey: ['replay', replayId],
    queryFn: ({ signal }): Promise<Replay> => unwrap(client.GET('/api/replays/{replay_id}', { params: { path: { replay_id: replayId } }, signal })),
    refetchInterval: (query) => (query.state.data && hasEnded(query.state.data) ? false : EVERY_MS),
  })
}

/** What a replay changed; looked at again while its trace is still being analysed. */
export function useReplayDiff(replay: Replay) {
  return useQuery<Diff>({
    enabled: replay.trace_id !== null && hasEnded(replay),
    queryKey: ['replay', replay.replay_id, 'diff'],
    structuralSharing: false,
    retry: 5,
    retryDelay: EVERY_MS,
    refetchInterval: (query) => (query.state.dataUpdateCount < 4 ? 2 * EVERY_MS : false),
    queryFn: ({ signal }): Promise<Diff> => unwrap(client.GET('/api/replays/{replay_id}/diff', { params: { path: { replay_id: replay.replay_id } }, signal })),
  })
}

export function useComparison(left: string, right: string) {
  return useQuery({
    enabled: left !== '' && right !== '',
    queryKey: ['compare', left, right],
    structuralSharing: false,
    queryFn: ({ signal }): Promise<Diff> => unwrap(client.GET('/api/compare', { params: { query: { left, right } }, signal })),
  })
}

/** A trace, what it is a replay of, and the replays of these. */
export function useFamily(traceId: string) {
  return useQuery({
    queryKey: ['trace', traceId, 'family'],
    queryFn: ({ signal }): Promise<Family> => unwrap(client.GET('/api/traces/{trace_id}/replays', { params: { path: { trace_id: traceId } }, signal })),
  })
}

export function useExperiment(id: string) {
  return useQuery({
    queryKey: ['experiment', id],
    queryFn: ({ signal }): Promise<ExperimentResult> => unwrap(client.GET('/api/experiments/{experiment_id}', { params: { path: { experiment_id: id } }, signal })),
    refetchInterval: (query) => {
      const now = query.state.data
      return now && now.done === now.total && now.outcomes.every((o) => o.replay.trace_id === null || o.failures !== null) ? false : EVERY_MS
    },
  })
}

export function useWorkers() {
  return useQuery({
    queryKey: ['workers'],
    queryFn: async ({ signal }): Promise<Worker[]> => (await unwrap(client.GET('/api/workers', { signal }))).items,
    refetchInterval: 3 * EVERY_MS,
  })
}

export function useStartReplay() {
  const queries = useQueryClient()
  return useMutation({
    mutationFn: (body: NewReplay): Promise<Replay> => unwrap(client.POST('/api/replays', { body })),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['replays'] }),
  })
}

export function useStartExperiment() {
  return useMutation({
    mutationFn: (body: NewExperiment): Promise<ExperimentResult> => unwrap(client.POST('/api/experiments', { body })),
  })
}

export function useCancelReplay() {
  const queries = useQueryClient()
  return useMutation({
    mutationFn: (replayId: string): Promise<Replay> => unwrap(client.POST('/api/replays/{replay_id}/cancel', { params: { path: { replay_id: replayId } } })),
    onSuccess: (replay) => { queries.setQueryData(['replay', replay.replay_id], replay) },
  })
}
