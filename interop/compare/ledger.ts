/** Which events a PDS sent in which step, and what a strict relay has to do with each. */

import type { Step } from '../scenario/step.ts'
import type { Recorder } from '../streams/recorder.ts'
import type { StreamEvent } from '../streams/frame.ts'
import type { PdsName } from '../world/pds.ts'
import { PDS_NAMES } from '../world/pds.ts'

export type Seqs = Readonly<Record<PdsName, number>>

/** The seqs of a step: those above `after`, up to and with `upTo`. */
export interface StepWindow {
  readonly step: Step
  readonly after: Seqs
  readonly upTo: Seqs
  /** Whether the clients were certain to be connected to the relay. */
  readonly clients: 'connected' | 'connecting'
}

/** One event of a PDS, as one row of the comparison. */
export interface LedgerEntry {
  readonly step: Step
  readonly pds: PdsName
  readonly event: StreamEvent
  /** Null when the relay must deliver it, else why it must not. */
  readonly refusal: string | null
  readonly clients: StepWindow['clients']
}

export class Ledger {
  readonly windows: StepWindow[] = []
  readonly #recorders: Readonly<Record<PdsName, Recorder>>

  /** Reads the events of each PDS from the recorder that is connected to it. */
  constructor(recorders: Readonly<Record<PdsName, Recorder>>) {
    this.#recorders = recorders
  }

  add(window: StepWindow): void {
    this.windows.push(window)
  }

  /** Events of the windows from index `first` on, by step, then PDS, then seq. */
  entries(first = 0): LedgerEntry[] {
    const entries: LedgerEntry[] = []
    for (const window of this.windows.slice(first)) {
      for (const pds of PDS_NAMES) {
        const after = window.after[pds]
        const upTo = window.upTo[pds]
        for (const event of this.#recorders[pds].events) {
          if (event.seq <= after || event.seq > upTo) continue
          entries.push({
            step: window.step,
            pds,
            event,
            refusal: refusalOf(window.step, pds, event),
            clients: window.clients,
          })
        }
      }
    }
    return entries
  }

  /** Steps whose events are not those that the step was written for, one sentence each. */
  faults(): string[] {
    const entries = this.entries()
    return this.windows.flatMap(({ step }) => {
      const faults: string[] = []
      const own = entries.filter((entry) => entry.step === step)
      if (step.eventCount !== undefined && step.eventCount !== own.length) {
        faults.push(`${step.name}: the PDSes sent ${own.length} events, not ${step.eventCount}`)
      }
      for (const { pds, type } of step.refusals ?? []) {
        const met = own.filter((entry) => entry.pds === pds && entry.event.type === type).length
        if (met !== 1) faults.push(`${step.name}: ${met} events ${type} of ${pds} to refuse, not 1`)
      }
      return faults
    })
  }
}

function refusalOf(step: Step, pds: PdsName, event: StreamEvent): string | null {
  const refusal = step.refusals?.find((entry) => entry.pds === pds && entry.type === event.type)
  return refusal?.reason ?? null
}
