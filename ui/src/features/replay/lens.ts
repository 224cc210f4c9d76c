/** A checkpoint's state as people think of it: what can be edited, and under which path. */

/** A JSON value; what else a state holds has been spelled out by its plugin. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

/** What is shown of a state. An edit's path is a JSON Pointer into `root`; `hidden` says what is not shown. */
export interface View {
  root: Json
  hidden: string | null
}

type Lens = (state: Json) => View

const WHOLE: Lens = (root) => ({ root, hidden: null })

/** The view of a framework's state; a form nobody knows is shown as it is. */
export function see(framework: string, state: unknown): View {
  return (LENSES[framework] ?? WHOLE)(state as Json)
}

const LENSES: Record<string, Lens> = { langgraph, autogen }

/** LangGraph: the values of its channels, each message as its fields. */
function langgraph(state: Json): View {
  const values = get(get(state, 'checkpoint'), 'channel_values')
  if (!isObject(values)) return WHOLE(state)
  const shown: [string, Json][] = []
  for (const [name, value] of Object.entries(values)) {
    if (name === '__start__') shown.push(['input', unwrap(value)])
    else if (name === '__pregel_tasks') shown.push(['sends', sends(unwrap(value))])
    else if (!/^(branch:|join:|__)/.test(name)) shown.push([name, unwrap(value)])
  }
  const left = Object.keys(values).length - shown.length
  return {
    root: Object.fromEntries(shown),
    hidden: left ? `${String(left)} of LangGraph’s own channels` : null,
  }
}

/** The arguments of nodes that were sent for, `[node, argument]` each. */
function sends(packets: Json): Json {
  if (!Array.isArray(packets)) return packets
  return packets.map((packet) => (Array.isArray(packet) && packet.length === 2 ? { node: packet[0] ?? null, arg: packet[1] ?? null } : packet))
}

/** An object of a class is written `{"$ext": code, "value": [module, class, fields, …]}`. */
function unwrap(value: Json): Json {
  if (Array.isArray(value)) return value.map(unwrap)
  if (!isObject(value)) return value
  if ('$ext' in value && Array.isArray(value.value)) {
    const fields = value.value[2]
    return fields === undefined ? value : unwrap(fields)
  }
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unwrap(item)]))
}

/** AutoGen: the conversation once, not in every member's memory; an edit of it changes all of them. */
function autogen(state: Json): View {
  const members = get(state, 'agent_states')
  if (!isObject(members)) return WHOLE(state)
  const threads = Object.values(members).map((member) => get(member, 'message_thread'))
  const thread = threads.find((found) => Array.isArray(found))
  if (thread === undefined) return WHOLE(state)
  return { root: { messages: thread }, hidden: `the memories of ${String(Object.keys(members).length)} members, which follow` }
}

export function isObject(value: Json | undefined): value is Record<string, Json> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function get(value: Json | undefined, key: string): Json | undefined {
  return isObject(value) ? value[key] : undefined
}
