/** An agent's name that leads to what it did across traces. */
import { Link } from 'react-router'
import { nameColour } from '@/shared/palette'
import { Avatar } from './basics'

export function agentPage(name: string): string {
  return `/agents?${new URLSearchParams({ name }).toString()}`
}

export function AgentName({ name }: { name: string }) {
  return (
    <Link to={agentPage(name)} className="flex max-w-64 min-w-0 items-center gap-2 font-medium hover:text-accent" title={name}>
      <Avatar name={name} colour={nameColour(name)} />
      <span className="truncate">{name}</span>
    </Link>
  )
}
