/** A stream source whose every word is kept, on a clock that can be pushed forward. */
import { JumpingClock, rest } from '../../../test/support/jumping-clock.ts'
import { eventually } from '../../../test/support/waiting.ts'
import { WebTransport } from '../../stream/web-transport.ts'
import { WsTransport } from '../../stream/ws-transport.ts'
import type {
  Place,
  SourceFrame,
  SourceNotice,
  SourcePolicies,
  SourceState,
  StreamSourceOptions,
} from '../source/source-types.ts'
import { StreamSource } from '../source/stream-source.ts'

export interface WatchedOptions {
  /** Stored cursors by service. */
  readonly stored?: Readonly<Record<string, number>>
  readonly policies?: Partial<SourcePolicies>
  readonly lastService?: string
  readonly reachedMs?: number
  /** Whether events count as finished when they arrive; default yes. */
  readonly finishes?: 'at-once' | 'never'
  /** Default `ws`; `web` is what browsers have, which cannot ping. */
  readonly transport?: 'ws' | 'web'
  readonly onFrame?: (source: StreamSource, place: Place | null) => void
}

export class WatchedSource implements AsyncDisposable {
  readonly clock: JumpingClock = new JumpingClock()
  readonly source: StreamSource
  readonly places: Place[] = []
  readonly frames: SourceFrame[] = []
  readonly bad: string[] = []
  readonly notices: SourceNotice[] = []
  readonly states: SourceState[] = []
  readonly #finished = new Map<string, number>()

  constructor(services: readonly string[], options: WatchedOptions = {}) {
    const { stored = {}, policies = {}, finishes = 'at-once', onFrame } = options
    const { lastService, reachedMs } = options
    for (const [service, seq] of Object.entries(stored)) this.#finished.set(`${service} 0`, seq)
    const given: StreamSourceOptions = {
      services,
      cursor: (service, epoch) => this.#finished.get(`${service} ${epoch}`) ?? null,
      transport:
        options.transport === 'web'
          ? new WebTransport({ clock: this.clock })
          : new WsTransport({
              clock: this.clock,
              userAgent: 'skein-test/1',
              handshakeTimeoutMs: 5_000,
              connectOptions: () => ({}),
            }),
      clock: this.clock,
      random: { next: () => 0 },
      policies: { margin: 'passive', ...policies },
      ...(lastService === undefined ? {} : { lastService }),
      ...(reachedMs === undefined ? {} : { reachedMs }),
      listener: {
        onFrame: (_bytes, frame, place) => {
          this.frames.push(frame)
          if (place !== null) {
            this.places.push(place)
            if (finishes === 'at-once') {
              this.#finished.set(`${place.service} ${place.epoch}`, place.seq)
            }
          }
          onFrame?.(this.source, place)
        },
        onBadFrame: (reason, _detail, afterSeq) => this.bad.push(`${reason} ${String(afterSeq)}`),
        onState: (state) => this.states.push(state),
        onNotice: (notice) => this.notices.push(notice),
      },
    }
    this.source = new StreamSource(given)
  }

  get seqs(): number[] {
    return this.places.map(({ seq }) => seq)
  }

  get phases(): string[] {
    const phases = this.states.map(({ phase }) => phase)
    return phases.filter((phase, i) => phase !== phases[i - 1])
  }

  /** Pushes time on in steps, letting sockets work in between, until `look` holds. */
  async until(look: () => boolean, what: string, stepMs = 1_000, steps = 400): Promise<void> {
    for (let i = 0; i < steps; i++) {
      await rest()
      if (look()) return
      this.clock.jump(stepMs)
    }
    throw new Error(`waited in vain: ${what}; ${JSON.stringify(this.source.state)}`)
  }

  /** Waits, without pushing the clock. */
  async soon(look: () => boolean, what: string): Promise<void> {
    await eventually(() => (look() ? true : null), what)
  }

  /** Lets time pass, in steps of ticks that sockets can follow. */
  async pass(ms: number, stepMs = 1_000): Promise<void> {
    for (let passed = 0; passed < ms; passed += stepMs) {
      this.clock.jump(stepMs)
      await rest()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const stopped = this.source.stop()
    await this.clock.jumpUntil(stopped, 2_000)
  }
}
