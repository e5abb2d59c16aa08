/** A whole relay in this process, on ports and a directory of its own, with its metrics at hand. */
import type { Reason } from '../../src/lib/reasons.ts'
import { createLogger } from '../../src/ops/logger.ts'
import { relayOptions, type RelayOptions } from '../../src/ops/relay-options.ts'
import type { Relay } from '../../src/relay/relay.ts'
import {
  type RunningRelay,
  startRelay,
  type StartRelayOptions,
} from '../../src/server/start-relay.ts'
import { JumpingClock } from './jumping-clock.ts'
import { OrderRecorder } from './order-recorder.ts'
import { Signal } from './waiting.ts'

/** A line of the relay's log. */
export type LogLine = Readonly<Record<string, unknown>>

/** The limits are those of `skein relay` unless given: tests of the product run with them. */
export type TestRelayOptions = Partial<RelayOptions> &
  Pick<RelayOptions, 'plc'> &
  Pick<StartRelayOptions, 'resolveAddresses' | 'logOptions' | 'onOpen'>

export class TestRelay implements AsyncDisposable {
  readonly #running: RunningRelay
  readonly #signal: Signal
  readonly #recorder: OrderRecorder
  readonly clock: JumpingClock
  /** The log so far. */
  readonly lines: readonly LogLine[]

  private constructor(
    running: RunningRelay,
    parts: {
      readonly signal: Signal
      readonly recorder: OrderRecorder
      readonly clock: JumpingClock
      readonly lines: readonly LogLine[]
    },
  ) {
    this.#running = running
    this.#signal = parts.signal
    this.#recorder = parts.recorder
    this.clock = parts.clock
    this.lines = parts.lines
  }

  /**
   * Starts a relay whose order is watched; without `data` in a new directory, which goes when the
   * relay does.
   */
  static async start(
    options: TestRelayOptions,
    clock: JumpingClock = new JumpingClock(),
  ): Promise<TestRelay> {
    const lines: LogLine[] = []
    const signal = new Signal()
    const logger = createLogger({
      level: 'debug',
      format: 'json',
      write(line) {
        lines.push(JSON.parse(line) as LogLine)
        signal.notify()
      },
    })
    const { data: _, ...operator } = relayOptions({
      bind: { host: '127.0.0.1', port: 0 },
      metricsBind: null,
      allowPrivateNetwork: true,
      drainTimeout: 0,
      ...options,
    })
    const recorder = new OrderRecorder(options.logOptions?.storage)
    const running = await startRelay({
      ...operator,
      ...options,
      logger,
      clock,
      logOptions: { ...options.logOptions, storage: recorder.storage },
      onOpen(parts) {
        recorder.watch(parts)
        options.onOpen?.(parts)
      },
    })
    return new TestRelay(running, { signal, recorder, clock, lines })
  }

  /** Where it listens, `127.0.0.1:2470`. */
  get address(): string {
    return this.#running.address
  }

  get relay(): Relay {
    return this.#running.relay
  }

  get failed(): Promise<Error> {
    return this.#running.failed
  }

  /** Resolves when a line with this text, and these fields, has been logged `count` times. */
  async logged(msg: string, fields: LogLine = {}, count = 1): Promise<LogLine> {
    const fits = (line: LogLine): boolean =>
      line['msg'] === msg && Object.entries(fields).every(([key, value]) => line[key] === value)
    return this.#signal.until(
      () => this.lines.filter(fits)[count - 1] ?? null,
      () => `log line ${msg} ${JSON.stringify(fields)} in\n${this.#recentLines()}`,
    )
  }

  /** Resolves when `count` events have been dropped for `reason`. */
  async dropped(reason: Reason, count = 1): Promise<LogLine> {
    return this.logged('event: dropped', { reason }, count)
  }

  /** Series of a metric as the page shows them, by their labels as text; zeros are left out. */
  async metric(name: string): Promise<Readonly<Record<string, number>>> {
    const { body } = await this.#running.registry.page()
    const series: Record<string, number> = {}
    for (const line of body.split('\n')) {
      const match = /^([a-z_]+)(?:\{(.*)\})? ([\d.e+-]+)$/u.exec(line)
      if (match === null || match[1] !== name || Number(match[3]) === 0) continue
      series[(match[2] ?? '').replaceAll(/\w+="([^"]*)"/gu, '$1')] = Number(match[3])
    }
    return series
  }

  /** Events dropped so far, by reason. */
  drops(): Promise<Readonly<Record<string, number>>> {
    return this.metric('skein_events_dropped_total')
  }

  /** Calls an endpoint; redirects are not followed. */
  async call(
    nsid: string,
    params: Readonly<Record<string, string>> = {},
    init: RequestInit = {},
  ): Promise<{ readonly status: number; readonly headers: Headers; readonly body: unknown }> {
    const url = `http://${this.address}/xrpc/${nsid}?${new URLSearchParams(params).toString()}`
    const response = await fetch(url, { redirect: 'manual', ...init })
    const text = await response.text()
    const body: unknown = text === '' ? null : JSON.parse(text)
    return { status: response.status, headers: response.headers, body }
  }

  /** Asks to have a host crawled. */
  requestCrawl(hostname: string): ReturnType<TestRelay['call']> {
    return this.call(
      'com.atproto.sync.requestCrawl',
      {},
      {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ hostname }),
      },
    )
  }

  /**
   * Stops as a signal would, and keeps a directory that was given. Safe to call again. Rejects when
   * something was published or saved before it was durable: see OrderRecorder.
   */
  async stop(): Promise<void> {
    await this.#running.stop()
    const { violations } = this.#recorder
    if (violations.length > 0) throw new Error(`out of order: ${violations.join('; ')}`)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #recentLines(): string {
    return this.lines
      .slice(-15)
      .map((line) => JSON.stringify(line))
      .join('\n')
  }
}
