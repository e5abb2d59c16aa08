/** What is done with messages that the handler could not take. */
import { assert, must } from '../../lib/assert.ts'
import { parseFrame } from '../../stream/frame.ts'
import type { Consumer } from './consumer.ts'
import type { Parts } from './consumer-parts.ts'
import type { QuarantineRow, RepoRow } from '../../store/consumer-state.ts'
import type { Quarantine, QuarantinedMessage } from './consumer-types.ts'
import { eventDelivery } from './deliveries.ts'
import type { Lane } from './lanes.ts'
import { replayed } from './repo-states.ts'

/** Messages that are read at once, and most that `list` gives. */
const PAGE_MESSAGES = 100

/** See {@link Quarantine}. */
export class QuarantineDesk implements Quarantine {
  readonly #consumer: Consumer
  /** Accounts whose messages are being replayed. */
  readonly #replaying = new Map<string, Promise<number>>()

  constructor(consumer: Consumer) {
    this.#consumer = consumer
  }

  async list(
    filter: { readonly did?: string; readonly after?: number; readonly limit?: number } = {},
  ): Promise<readonly QuarantinedMessage[]> {
    const { did = null, after = 0, limit = PAGE_MESSAGES } = filter
    const { saver } = await this.#consumer.parts()
    await saver.flush()
    const rows = await this.#consumer.store.quarantine(did, after, limit)
    return rows.map(messageOf)
  }

  replay(did: string): Promise<number> {
    const known = this.#replaying.get(did)
    if (known !== undefined) return known
    const replay = this.#replay(did).finally(() => this.#replaying.delete(did))
    this.#replaying.set(did, replay)
    return replay
  }

  async discard(did: string): Promise<number> {
    const parts = await this.#consumer.parts()
    let dropped = 0
    for (;;) {
      const rows = await this.#page(parts, did)
      for (const { id } of rows) await this.#release(parts, did, id)
      dropped += rows.length
      if (rows.length === 0) break
    }
    await this.#repairIfMarked(parts, did)
    return dropped
  }

  async #replay(did: string): Promise<number> {
    const parts = await this.#consumer.parts()
    for (;;) {
      const rows = await this.#page(parts, did)
      for (const row of rows) {
        if (!(await this.#handOver(parts, row))) return (await parts.memory.get(did)).quarantined
      }
      if (rows.length === 0) break
    }
    await this.#repairIfMarked(parts, did)
    return 0
  }

  async #page({ saver }: Parts, did: string): Promise<readonly QuarantineRow[]> {
    await saver.flush()
    return this.#consumer.store.quarantine(did, 0, PAGE_MESSAGES)
  }

  /** Gives one message to the handler again. False when it fails, or the consumer stops. */
  async #handOver(parts: Parts, row: QuarantineRow): Promise<boolean> {
    const { memory, progress, saver } = parts
    const { did, frame, service, seq } = row
    if (frame !== null) {
      const parsed = parseFrame(frame)
      assert(parsed.ok && parsed.value.kind !== 'error', 'a kept frame parses')
      const place = { service: must(service, 'service'), epoch: 0, seq: must(seq, 'seq') }
      const { wanted, lanes } = this.#consumer
      const task = { bytes: frame, frame: parsed.value, place }
      const delivery = eventDelivery(task, {
        verdict: row.verdict,
        cause: 'replay',
        wantsPath: (path) => wanted.path(path),
        checkpointOf: () => progress.checkpoint(null),
      })
      const lane: Lane = lanes.get(did)
      const outcome = delivery === null ? null : await this.#consumer.deliver(lane, delivery)
      lanes.tidy(lane)
      if (outcome?.kind === 'stopped') return false
      if (outcome?.kind === 'failed') {
        const { error, tries } = outcome
        memory.setMessage({ ...row, error, tries: row.tries + tries })
        await saver.flush()
        return false
      }
      this.#remember(parts, parsed.value)
    }
    await this.#release(parts, did, row.id)
    return true
  }

  #remember({ memory }: Parts, frame: Parameters<typeof eventDelivery>[0]['frame']): void {
    if (frame.kind !== 'message' || frame.type !== '#commit') return
    if (this.#consumer.options.verify === 'none') return
    const { repo, ops } = frame.body
    for (const { path, cid } of ops) {
      if (this.#consumer.wanted.path(path)) {
        memory.setRecord(repo, path, cid?.bytes.slice() ?? null)
      }
    }
  }

  async #release({ memory, kept, saver }: Parts, did: string, id: number): Promise<void> {
    memory.releaseMessage(id)
    kept.count--
    await memory.update(did, oneLess)
    await saver.flush()
  }

  async #repairIfMarked({ memory, repairs, saver }: Parts, did: string): Promise<void> {
    const row = await memory.get(did)
    if (row.mark === null || row.quarantined > 0) return
    memory.put(replayed(row, this.#consumer.clock.nowMs()))
    saver.touch()
    const lane = this.#consumer.lanes.get(did)
    if (!repairs.request(lane)) this.#consumer.lanes.tidy(lane)
  }
}

function oneLess(row: RepoRow): RepoRow {
  return { ...row, quarantined: Math.max(0, row.quarantined - 1) }
}

function messageOf(row: QuarantineRow): QuarantinedMessage {
  const { service, seq, ...rest } = row
  return { ...rest, place: service === null || seq === null ? null : { service, epoch: 0, seq } }
}
