/** Holds the stream of a host against what was done there; finds out what was, if nobody knows. */
import type { ReceivedFrame } from '../support/relay-client.ts'
import { didOf } from '../support/relay-client.ts'
import { brief, eventFaults, saidIn } from './real-host-events.ts'
import type { ExpectedEvent, Operation } from './real-host-operations.ts'
import type { RealHost } from './real-host.ts'

/** What was found since the last time. */
export interface Settled {
  readonly faults: readonly string[]
  /** Events that are as they must be, in the order of the host. */
  readonly frames: readonly ReceivedFrame[]
  /** Operations without an answer that have happened. */
  readonly happened: ReadonlySet<Operation>
}

interface Account {
  readonly expected: ExpectedEvent[]
  /** In the order in which they were called; none after one that did not happen can have. */
  readonly unanswered: Operation[]
}

export class HostStream {
  readonly #host: RealHost
  readonly #accounts = new Map<string, Account>()
  #taken = 0

  constructor(host: RealHost) {
    this.#host = host
  }

  /** An acknowledged operation has these events. */
  expect(did: string, events: readonly ExpectedEvent[]): void {
    this.#of(did).expected.push(...events)
  }

  /** This was called after all that was expected, and the host died. */
  wonder(operation: Operation): void {
    this.#of(operation.account.did).unanswered.push(operation)
  }

  /** Waits until the stream has said everything, and compares. */
  async settle(): Promise<Settled> {
    const seq = await this.#host.drain()
    const { frames } = this.#host
    const faults: string[] = []
    if (frames.some((frame, i) => frame.seq !== i + 1)) faults.push('seqs are not 1, 2, 3…')
    if (frames.length !== seq) faults.push(`${frames.length} events, published up to ${seq}`)
    const taken = frames.slice(this.#taken)
    this.#taken = frames.length
    const byDid = new Map<string, ReceivedFrame[]>()
    for (const frame of taken) {
      const did = didOf(frame)
      byDid.set(did, [...(byDid.get(did) ?? []), frame])
      this.#of(did)
    }
    const happened = new Set<Operation>()
    for (const [did, account] of this.#accounts) {
      const rest = [...(byDid.get(did) ?? [])]
      faults.push(...(await match(did, account.expected.splice(0), rest)))
      for (const operation of account.unanswered.splice(0)) {
        if (operation.commits() ? rest.length === 0 : !mayBeNext(operation, rest)) break
        happened.add(operation)
        const said = operation.commits() ? saidIn(rest) : null
        faults.push(...(await match(did, await operation.apply(said), rest)))
      }
      faults.push(...rest.map((frame) => `${did}: ${brief(frame)} was never asked for`))
    }
    const named = faults.map((fault) => `host ${this.#host.index}: ${fault}`)
    return { faults: named, frames: taken, happened }
  }

  #of(did: string): Account {
    const known = this.#accounts.get(did) ?? { expected: [], unanswered: [] }
    this.#accounts.set(did, known)
    return known
  }
}

/** Whether an operation without a commit can be what the next events are about. */
function mayBeNext({ call, account }: Operation, [next]: readonly ReceivedFrame[]): boolean {
  if (call.op === 'applyWrites') return true
  if (call.op !== 'setStatus') return next?.type === '#identity'
  if (call.status === account.status) return true
  return next?.type === (call.status === 'active' ? '#identity' : '#account')
}

/** Takes as many events off the beginning of `rest` as are expected. */
async function match(
  did: string,
  expected: readonly ExpectedEvent[],
  rest: ReceivedFrame[],
): Promise<string[]> {
  const faults: string[] = []
  for (const event of expected) {
    const frame = rest.shift()
    if (frame === undefined)
      faults.push(`${did}: ${JSON.stringify(event)} was acknowledged and is lost`)
    else faults.push(...(await eventFaults(did, event, frame)))
  }
  return faults
}
