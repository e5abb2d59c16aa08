/** What tests of this folder share: a state database in memory, rows, parsed events. */
import { assert } from '../../lib/assert.ts'
import { openDatabase } from '../../store/database.ts'
import { RelayStore, type AccountRow, type HostRow } from '../../store/relay-store.ts'
import { RELAY_SCHEMA } from '../../store/schemas.ts'
import type { MessageBodies, MessageFrame, MessageType } from '../../stream/frame-types.ts'
import { peekFrame } from '../../stream/peek-frame.ts'
import { parseFrame } from '../../stream/frame.ts'
import { encodeMessageFrame } from '../../stream/own-frames.ts'
import type { ArrivedFrame } from '../host-link.ts'

/** A store that is gone when it is disposed of. */
export interface MemoryStore extends Disposable {
  readonly store: RelayStore
  addHost(hostname: string, origin?: 'configured' | 'requested'): HostRow
}

export async function openMemoryStore(): Promise<MemoryStore> {
  const database = await openDatabase(':memory:', RELAY_SCHEMA)
  const store = new RelayStore(database.connection)
  return {
    store,
    addHost: (hostname, origin = 'configured') =>
      store.addHost({
        hostname,
        endpoint: `https://${hostname}`,
        createdAtMs: 0,
        requested: origin === 'requested',
      }),
    [Symbol.dispose]: () => database.close(),
  }
}

/** An account as it is before its first event. */
export function accountRow(more: Partial<AccountRow> = {}): AccountRow {
  return {
    id: 1,
    did: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa',
    hostId: 1,
    active: true,
    status: null,
    takendown: false,
    inactiveSeq: null,
    rev: null,
    commit: null,
    data: null,
    ...more,
  }
}

/** An event as it is after the socket. */
export function arrivedFrame<T extends MessageType>(type: T, body: MessageBodies[T]): ArrivedFrame {
  const bytes = encodeMessageFrame(type, body)
  const peeked = peekFrame(bytes)
  if (peeked !== null) return peeked
  const parsed = parseFrame(bytes)
  const frame: MessageFrame | null =
    parsed.ok && parsed.value.kind === 'message' ? parsed.value : null
  assert(frame?.type === '#identity' || frame?.type === '#account', 'a well-formed event')
  return frame
}
