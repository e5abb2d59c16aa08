/** Runs steps one by one, notes which events belong to each, and waits until all have seen them. */

import type { Ledger, LedgerEntry, Seqs, StepWindow } from './compare/ledger.ts'
import { waitUntil } from './net/wait.ts'
import type { Scene } from './scenario/scene.ts'
import type { Step } from './scenario/step.ts'
import type { Consumers } from './skein-client/consumers.ts'
import type { Watcher } from './streams/observers.ts'
import type { PdsName } from './world/pds.ts'
import { PDS_NAMES } from './world/pds.ts'

/** How long a step's events may take to reach everybody, ms. */
const SETTLE_TIMEOUT_MS = 15_000
/** What is left of that after several steps have not settled, ms: a broken relay stays broken. */
const SETTLE_TIMEOUT_MS_MIN = 500

export class StepRunner {
  readonly #scene: Scene
  readonly #direct: Readonly<Record<PdsName, Watcher>>
  readonly #relayed: Watcher
  readonly #consumers: Consumers
  readonly #ledger: Ledger
  readonly #progress: (text: string) => void
  /** Steps whose events did not reach everybody in time, one sentence each. */
  readonly late: string[] = []
  #timeoutMs = SETTLE_TIMEOUT_MS

  constructor(parts: {
    readonly scene: Scene
    readonly direct: Readonly<Record<PdsName, Watcher>>
    readonly relayed: Watcher
    readonly consumers: Consumers
    readonly ledger: Ledger
    readonly progress: (text: string) => void
  }) {
    this.#scene = parts.scene
    this.#direct = parts.direct
    this.#relayed = parts.relayed
    this.#consumers = parts.consumers
    this.#ledger = parts.ledger
    this.#progress = parts.progress
  }

  /** Does the step and waits for its events, within a bound: what is late is found missing. */
  async run(step: Step, clients: StepWindow['clients'] = 'connected'): Promise<void> {
    this.#progress(step.name)
    const after = await this.#seqs()
    await step.run(this.#scene)
    const upTo = await this.#seqs()
    this.#ledger.add({ step, after, upTo, clients })
    await this.#settle(step, upTo)
  }

  /** Gives steps their full time again, after the relay has been restarted. */
  restorePatience(): void {
    this.#timeoutMs = SETTLE_TIMEOUT_MS
  }

  async #seqs(): Promise<Seqs> {
    const { A, B, S } = this.#scene.world.pdses
    const [a, b, s] = await Promise.all([A.lastSeq(), B.lastSeq(), S.lastSeq()])
    return { A: a, B: b, S: s }
  }

  async #settle(step: Step, upTo: Seqs): Promise<void> {
    const directly = await waitUntil(
      () => PDS_NAMES.every((name) => this.#direct[name].position >= upTo[name]),
      SETTLE_TIMEOUT_MS,
    )
    if (!directly) {
      const late = PDS_NAMES.flatMap((name) => this.#direct[name].laggards(upTo[name]))
      throw new Error(`clients of the PDSes themselves did not get all: ${late.join(', ')}`)
    }
    const awaited = this.#ledger
      .entries(this.#ledger.windows.length - 1)
      .filter((entry) => entry.refusal === null)
    const arrived = (entry: LedgerEntry): boolean =>
      this.#relayed.raw.byFingerprint.has(entry.event.fingerprint)
    const { raw } = this.#relayed
    const relayed = await waitUntil(
      () =>
        awaited.every(arrived) &&
        this.#relayed.position >= raw.lastSeq &&
        this.#consumers.laggards(upTo, raw.lastSeq).length === 0,
      this.#timeoutMs,
    )
    if (relayed) return
    const missing = awaited.filter((entry) => !arrived(entry)).length
    const laggards = [
      ...this.#relayed.laggards(raw.lastSeq),
      ...this.#consumers.laggards(upTo, raw.lastSeq),
    ]
    const found = [`${missing} events have not come`, ...laggards].join(', ')
    const seconds = (this.#timeoutMs / 1_000).toFixed(1)
    this.#progress(`  after ${seconds} s: ${found}`)
    this.late.push(`${step.name}: ${found} after ${seconds} s`)
    this.#timeoutMs = Math.max(SETTLE_TIMEOUT_MS_MIN, this.#timeoutMs / 4)
  }
}
