/**
 * The hosts and the directory of `npm run bench relay`, in a process of their own:
 * `hosts.ts FILE`. They replay a traffic file as they are told to.
 */
import { must } from '../../src/lib/assert.ts'
import type { ReplayPace } from '../../src/sim/replay-pacer.ts'
import { type ReplayStep, startReplay } from '../../src/sim/replay-traffic.ts'
import { TrafficFile } from '../../src/sim/traffic-file.ts'
import { serve } from './child.ts'
import { monotonicUs } from './monotonic.ts'

/** When the events of one host took a step: those up to `seqs[i]` at `timesUs[i]`. */
export interface StepTimes {
  readonly seqs: number[]
  readonly timesUs: number[]
}

/** What the process answers. */
export interface HostsCalls {
  readonly addresses: () => { readonly plcUrl: string; readonly endpoints: readonly string[] }
  /** Hosts that somebody reads. */
  readonly hostsRead: () => number
  /** Lets events go; see ReplayPacer. */
  readonly release: (argument: { readonly events: number; readonly pace: ReplayPace }) => {
    /** Monotonic time when they began. */
    readonly startUs: number
    /** Events of all hosts that will have been published in the end, from the first on. */
    readonly publishedEnd: number
  }
  readonly published: () => number
  /** The steps of each host since this was last called. */
  readonly takeSteps: () => Readonly<Record<ReplayStep['kind'], readonly StepTimes[]>>
}

const traffic = TrafficFile.open(must(process.argv[2], 'path of a traffic file'))
const { hosts } = traffic.header

function perHost(): StepTimes[] {
  return Array.from({ length: hosts }, () => ({ seqs: [], timesUs: [] }))
}

function newSteps(): Record<ReplayStep['kind'], readonly StepTimes[]> {
  return { published: perHost(), sent: perHost() }
}

let steps = newSteps()

const replay = await startReplay({
  traffic,
  rate: null,
  onStep: ({ kind, host, seq }) => {
    const { seqs, timesUs } = must(steps[kind][host], 'host')
    seqs.push(seq)
    timesUs.push(monotonicUs())
  },
})

const calls: HostsCalls = {
  addresses: () => ({ plcUrl: replay.plcUrl, endpoints: replay.endpoints }),
  hostsRead: () => replay.hostsRead(),
  release: ({ events, pace }) => {
    const startUs = monotonicUs()
    return { startUs, publishedEnd: replay.release(events, pace) }
  },
  published: () => replay.published(),
  takeSteps: () => {
    const taken = steps
    steps = newSteps()
    return taken
  },
}

serve(calls, async () => {
  await replay.stop()
  traffic[Symbol.dispose]()
})
