/** What this UI asks of the server about failures beyond their list: verdicts, where a run went wrong, agreement. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { client, unwrap } from './client'
import type { AgreementReport, Decisive, FailureMode, NewFailure, ReviewChange } from './types'

/** The kinds of failure that have a name; they change only with the server. */
export function useFailureModes() {
  return useQuery({
    queryKey: ['failure-modes'],
    staleTime: Infinity,
    queryFn: async ({ signal }): Promise<FailureMode[]> => (await unwrap(client.GET('/api/failure-modes', { signal }))).items,
  })
}

/** The steps that may have decided a failed trace, asked again whenever its failures change. */
export function useDecisive(traceId: string, version: string) {
  return useQuery({
    queryKey: ['trace', traceId, 'decisive', version],
    queryFn: ({ signal }): Promise<Decisive> => unwrap(client.GET('/api/traces/{trace_id}/decisive', { params: { path: { trace_id: traceId } }, signal })),
    placeholderData: (old) => (old?.trace_id === traceId ? old : undefined),
  })
}

/** How far people agree with what was found. */
export function useAgreement() {
  return useQuery({
    queryKey: ['agreement'],
    queryFn: ({ signal }): Promise<AgreementReport> => unwrap(client.GET('/api/failures/agreement', { signal })),
  })
}

/** Keep another mode, a comment, or that this decided the failure. */
export function useChangeFailure(traceId: string) {
  const refresh = useRefresh(traceId)
  return useMutation({
    mutationFn: ({ id, change }: { id: string; change: ReviewChange }) =>
      unwrap(client.PATCH('/api/failures/{annotation_id}', { params: { path: { annotation_id: id } }, body: change })),
    onSuccess: refresh,
  })
}

export function useAddFailure(traceId: string) {
  const refresh = useRefresh(traceId)
  return useMutation({
    mutationFn: (failure: NewFailure) => unwrap(client.POST('/api/traces/{trace_id}/failures', { params: { path: { trace_id: traceId } }, body: failure })),
    onSuccess: refresh,
  })
}

/** Delete a failure that a person added. */
export function useRemoveFailure(traceId: string) {
  const refresh = useRefresh(traceId)
  return useMutation({
    mutationFn: (id: string) => unwrap(client.DELETE('/api/failures/{annotation_id}', { params: { path: { annotation_id: id } } })),
    onSuccess: refresh,
  })
}

function useRefresh(traceId: string): () => Promise<unknown> {
  const queries = useQueryClient()
  return () =>
    Promise.all([['trace', traceId], ['traces'], ['stats'], ['agreement']].map((queryKey) => queries.invalidateQueries({ queryKey })))
}
