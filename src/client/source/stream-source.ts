/**
 * Where frames come from: one connection to one of several services, kept up for ever. The rules
 * are in ./source-machine.ts and ./service-position.ts; its types in ./source-types.ts.
 */
import { assert, must } from '../../lib/assert.ts'
import type { Timer } from '../../lib/clock.ts'
import { SkeinError } from '../../lib/errors.ts'
import { Subscriber } from '../../stream/subscriber.ts'
import type { Instant } from '../../stream/subscriber-machine.ts'
import { type FoundPlace, PlaceFinder } from './place-finder.ts'
import { parseService, type Service } from '../calls/service.ts'
import { ServicePosition } from './service-position.ts'
import { type SourceCounts, ServiceReader } from './service-reader.ts'
import { step, TICK_MS } from './source-machine.ts'
import {
  initialModel,
  type LookPurpose,
  type SourceEffect,
  type SourceEvent,
  type SourceModel,
  viewOf,
} from './source-model.ts'
import {
  SOURCE_POLICIES,
  type SourceNotice,
  type SourcePolicies,
  type SourceState,
  type SourceStats,
  type StreamSourceOptions,
} from './source-types.ts'
import { StreamProbe } from './stream-probe.ts'

/**
 * One stream of frames from an ordered list of services.
 *
 * It never gives up by itself but where a policy says so. Frames of one service and epoch come in
 * rising order of seq; after a reconnect those come again that are not finished, and after a switch
 * those of the overlap. `start` once, `stop` once.
 */
export class StreamSource {
  readonly #options: StreamSourceOptions
  readonly #policies: SourcePolicies
  readonly #services: readonly Service[]
  readonly #positions: readonly ServicePosition[]
  #model: SourceModel
  /** The state as it was told last. */
  #shown: SourceState | null = null
  #subscriber: Subscriber | null = null
  #reader: ServiceReader | null = null
  #tick: Timer | null = null
  #probe: StreamProbe | null = null
  #finder: PlaceFinder | null = null
  #paused = false
  readonly #leaving = new Set<Promise<void>>()
  readonly #counts: SourceCounts = {
    frames: 0,
    bytes: 0,
    badFrames: {},
    connections: 0,
    switches: 0,
    steppedOver: 0,
    probes: 0,
  }

  /** @throws SkeinError OPTION_INVALID when there is no service, or one that cannot be read. */
  constructor(options: StreamSourceOptions) {
    this.#options = options
    this.#policies = { ...SOURCE_POLICIES, ...options.policies }
    this.#services = readServices(options.services)
    this.#positions = this.#services.map(
      ({ origin }) =>
        new ServicePosition({
          service: origin,
          finished: options.cursor,
          futureCursor: this.#policies.futureCursor,
        }),
    )
    const origins = this.#services.map(({ origin }) => origin)
    this.#model = initialModel(origins, this.#policies, 0)
  }

  /** As of now. */
  get state(): SourceState {
    return viewOf(this.#model, this.#now())
  }

  get stats(): SourceStats {
    return { ...this.#counts, badFrames: { ...this.#counts.badFrames } }
  }

  start(): void {
    assert(this.#model.link.kind === 'idle', 'a source starts once')
    const index = this.#firstIndex()
    this.#model = { ...this.#model, index }
    this.#position(index).join(this.#startAt(index))
    this.#dispatch({ kind: 'start' })
    this.#armTick()
  }

  /**
   * Stops reading: no frame comes after it returns, and TCP holds the service back. Lasts over
   * reconnects and switches.
   */
  pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.#reader?.hold('held')
    this.#subscriber?.pause()
    this.#dispatch({ kind: 'held' })
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#reader?.hold('released')
    this.#dispatch({ kind: 'released' })
    this.#subscriber?.resume()
  }

  /** Ends for good; resolves when its connections are gone, within seconds. */
  async stop(): Promise<void> {
    this.#dispatch({ kind: 'stop' })
    await Promise.all(this.#leaving)
  }

  get #ended(): boolean {
    return this.#model.link.kind === 'stopped'
  }

  #now(): Instant {
    const { clock } = this.#options
    return { nowMs: clock.nowMs(), monotonicMs: clock.monotonicMs() }
  }

  #position(index: number): ServicePosition {
    return must(this.#positions[index], 'position of a service')
  }

  /** The service to begin with: where the newest cursor is from. */
  #firstIndex(): number {
    const { lastService } = this.#options
    const { start } = this.#policies
    const last = typeof lastService === 'string' ? this.#rankOf(lastService) : -1
    if (last >= 0) return last
    const stored = this.#positions.findIndex(({ finished }) => finished !== null)
    if (stored >= 0) return stored
    return typeof start === 'object' ? Math.max(0, this.#rankOf(start.service)) : 0
  }

  /** Below 0 for a service that is not among ours. */
  #rankOf(service: string): number {
    const { origin } = parseService(service)
    return this.#positions.findIndex((position) => position.service === origin)
  }

  /** Where a service is joined when nothing has been read. */
  #startAt(index: number): number | null {
    const { start } = this.#policies
    if (this.#positions.some(({ finished }) => finished !== null)) {
      // Something was read before, at a time that is not known.
      return this.#position(index).finished ?? 0
    }
    if (start === 'live') return null
    if (start === 'oldest') return 0
    const { origin } = parseService(start.service)
    return origin === this.#position(index).service ? start.seq : 0
  }

  #dispatch(event: SourceEvent): void {
    const { model, effects } = step(this.#model, event, this.#now())
    this.#model = model
    for (const effect of effects) this.#perform(effect)
    this.#show(event.kind === 'tick' ? 'numbers' : 'changes')
  }

  #perform(effect: SourceEffect): void {
    switch (effect.kind) {
      case 'subscribe':
        this.#subscribe(effect.service)
        return
      case 'wake':
        this.#subscriber?.wakeNow()
        return
      case 'ping':
        this.#subscriber?.ping()
        return
      case 'reconnect':
        this.#subscriber?.reconnect()
        return
      case 'look':
        this.#look(effect.purpose, effect.service)
        return
      case 'join':
        this.#join(effect.service)
        return
      case 'notice':
        if (effect.notice.kind === 'switched') this.#counts.switches++
        this.#notice(effect.notice)
        return
      case 'leave':
        this.#leave()
    }
  }

  /** Tells of the state when more than numbers changed, or a second has passed. */
  #show(what: 'numbers' | 'changes'): void {
    const before = this.#shown
    const state = this.state
    const isOther =
      before === null ||
      state.phase !== before.phase ||
      state.service !== before.service ||
      state.attempt !== before.attempt ||
      state.stall !== before.stall ||
      state.lastClose !== before.lastClose
    const isNewer =
      before !== null &&
      (state.seq !== before.seq ||
        state.lagMs !== before.lagMs ||
        state.eventsBehind !== before.eventsBehind)
    if (!isOther && !(isNewer && what === 'numbers')) return
    this.#shown = state
    this.#options.listener.onState?.(state)
  }

  #notice(notice: SourceNotice): void {
    this.#options.listener.onNotice?.(notice)
  }

  #armTick(): void {
    if (this.#ended) return
    this.#tick = this.#options.clock.after(TICK_MS, () => {
      this.#armTick()
      const seen = this.#reader?.seen
      if (seen !== undefined) this.#dispatch({ kind: 'tick', seen })
    })
  }

  #leave(): void {
    this.#tick?.cancel()
    this.#probe?.cancel()
    this.#finder?.cancel()
    this.#unsubscribe()
  }

  #unsubscribe(): void {
    const subscriber = this.#subscriber
    this.#reader?.close()
    if (subscriber === null) return
    this.#subscriber = null
    const gone = subscriber.stop()
    this.#leaving.add(gone)
    void gone.then(() => this.#leaving.delete(gone))
  }

  #subscribe(index: number): void {
    this.#unsubscribe()
    const { transport, clock, random, listener } = this.#options
    const position = this.#position(index)
    const reader = new ServiceReader({
      position,
      listener,
      clock,
      policies: this.#policies,
      counts: this.#counts,
      dispatch: (event) => this.#dispatch(event),
      reconnect: () => subscriber.reconnect(),
    })
    const subscriber: Subscriber = new Subscriber({
      endpoint: this.#endpoint(index),
      cursor: () => position.connect(),
      transport,
      clock,
      random,
      listener: {
        onConnecting: () => reader.connecting(),
        onOpen: () => reader.opened(),
        onFrame: (bytes) => reader.frame(bytes),
        onBadMessage: (reason) => reader.badMessage(reason),
        onPong: () => this.#dispatch({ kind: 'pong' }),
        onClosed: (close) => reader.closed(close),
        onBackoff: (backoff) => this.#dispatch({ kind: 'backoff', backoff }),
      },
    })
    this.#reader = reader
    this.#subscriber = subscriber
    if (this.#paused) {
      reader.hold('held')
      subscriber.pause()
    }
    subscriber.start()
  }

  #endpoint(index: number): string {
    return must(this.#services[index], 'service').webSocketOrigin
  }

  #look(purpose: LookPurpose, index: number): void {
    const { transport, clock } = this.#options
    this.#counts.probes++
    const cursor = purpose === 'floor' ? 0 : null
    this.#probe = new StreamProbe(
      { transport, clock, endpoint: this.#endpoint(index), cursor },
      ({ healthy, seen }) => {
        this.#probe = null
        this.#dispatch({ kind: 'looked', purpose, service: index, healthy, seen })
      },
    )
  }

  /** Finds where another service is joined: by the time up to which the present one was read. */
  #join(index: number): void {
    const { transport, clock, reachedMs } = this.#options
    const readMs = this.#reader?.seen.reachedMs ?? this.#model.reachedMs ?? reachedMs ?? null
    if (readMs === null) {
      const cursor = this.#startAt(index)
      this.#position(index).join(cursor)
      this.#dispatch({ kind: 'joined', place: { cursor } })
      return
    }
    const { overlapMs } = this.#policies
    this.#finder = new PlaceFinder(
      {
        transport,
        clock,
        endpoint: this.#endpoint(index),
        targetMs: readMs - overlapMs,
        toleranceMs: overlapMs,
        onProbe: () => void this.#counts.probes++,
      },
      (place) => {
        this.#finder = null
        if (this.#ended) return
        const cursor = place === null ? null : this.#joinAt(index, place, readMs)
        this.#dispatch({ kind: 'joined', place: cursor === null ? null : { cursor } })
      },
    )
  }

  /** Joins a service where it was found to stand, or at its own cursor if that is later. */
  #joinAt(index: number, place: FoundPlace, readMs: number): number {
    const position = this.#position(index)
    const { service, finished } = position
    if (finished !== null && place.tip !== null && finished > place.tip.seq) {
      position.restart(place.cursor)
      const detail = `cursor ${finished}, newest seq ${place.tip.seq}`
      const { epoch } = position
      this.#notice({ kind: 'sequence-restarted', service, epoch, cursor: finished, detail })
    } else position.join(place.cursor)
    const missedMs = (place.tooLateMs ?? 0) - this.#policies.overlapMs
    if (missedMs > 0) {
      const oldest = new Date(readMs + missedMs).toISOString()
      const detail = `its oldest event is of ${oldest}, ${missedMs} ms after what was read`
      this.#notice({ kind: 'gap', service, cause: 'switched-too-late', afterSeq: null, detail })
    }
    return Math.max(place.cursor, position.finished ?? 0)
  }
}

function readServices(texts: readonly string[]): readonly Service[] {
  const services = texts.map((text) => parseService(text))
  const origins = new Set(services.map(({ origin }) => origin))
  if (services.length === 0) throw new SkeinError('OPTION_INVALID', 'stream: no service is named')
  if (origins.size !== services.length) {
    throw new SkeinError('OPTION_INVALID', 'stream: a service is named twice')
  }
  return services
}
