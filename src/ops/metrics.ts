/**
 * Metrics declared in tables, on a registry of their own. A table gives the typed handles and the
 * documentation page.
 *
 * Cardinality: a label takes values from a closed list (reasons, event kinds, endpoints). A value
 * chosen by strangers (a host, a subscriber) is a label only of gauges that are rebuilt at each
 * scrape through {@link Gauge.replace}, which bounds their number.
 */

import {
  collectDefaultMetrics,
  Counter as PromCounter,
  Gauge as PromGauge,
  Histogram as PromHistogram,
  Registry,
} from 'prom-client'

/** One metric of a table. Names end in their unit; counters end in `_total`. */
export interface MetricSpec {
  readonly kind: 'counter' | 'gauge' | 'histogram'
  readonly name: string
  readonly help: string
  readonly labels?: readonly string[]
  /** Upper bounds of a histogram's buckets, in the unit of its name. */
  readonly buckets?: readonly number[]
}

/** Metrics by camelCase key. */
export type MetricTable = Readonly<Record<string, MetricSpec>>

type Labels<L extends string> = Readonly<Record<L, string>>
type LabelArguments<L extends string> = [L] extends [never] ? [] : [labels: Labels<L>]

/** A number that only grows. */
export interface Counter<L extends string> {
  add(amount: number, ...labels: LabelArguments<L>): void
  /** Resolves the labels once, for a hot path. */
  with(...labels: LabelArguments<L>): { add(amount: number): void }
}

/** A row of a gauge that is rebuilt at each scrape. */
export interface GaugeRow<L extends string> {
  readonly labels: Labels<L>
  readonly value: number
}

/** A number that goes up and down. */
export interface Gauge<L extends string> {
  set(value: number, ...labels: LabelArguments<L>): void
  /**
   * Replaces every series by `rows`. Of more than `rowsMax`, the greatest values are kept and the
   * rest is left out; returns how many were.
   */
  replace(rows: Iterable<GaugeRow<L>>, rowsMax: number): number
}

/** A distribution. */
export interface Histogram<L extends string> {
  observe(value: number, ...labels: LabelArguments<L>): void
}

type LabelOf<S extends MetricSpec> = S extends { labels: readonly (infer L extends string)[] }
  ? L
  : never

type Handle<S extends MetricSpec> = S['kind'] extends 'counter'
  ? Counter<LabelOf<S>>
  : S['kind'] extends 'gauge'
    ? Gauge<LabelOf<S>>
    : Histogram<LabelOf<S>>

/** The handles of a table. */
export type MetricHandles<T extends MetricTable> = { readonly [K in keyof T]: Handle<T[K]> }

/** What a scrape answers. */
export interface MetricsPage {
  readonly contentType: string
  readonly body: string
}

/** Owns a registry: hands out handles and renders the page that Prometheus reads. */
export class MetricsRegistry {
  readonly #registry = new Registry()
  readonly #collectors = new Set<() => void>()

  /** Registers a table's metrics and returns their handles. A name may be registered once. */
  register<const T extends MetricTable>(table: T): MetricHandles<T> {
    const handles: Record<string, unknown> = {}
    for (const [key, spec] of Object.entries(table))
      handles[key] = createHandle(spec, this.#registry)
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- keys and kinds are the
    // table's
    return handles as MetricHandles<T>
  }

  /** Adds the runtime's own metrics (CPU, memory, event loop, garbage collection). */
  registerProcessMetrics(): void {
    collectDefaultMetrics({ register: this.#registry })
  }

  /** Calls `collector` before each scrape, to set gauges. Returns what removes it again. */
  onScrape(collector: () => void): () => void {
    this.#collectors.add(collector)
    return () => this.#collectors.delete(collector)
  }

  async page(): Promise<MetricsPage> {
    for (const collector of this.#collectors) collector()
    return { contentType: this.#registry.contentType, body: await this.#registry.metrics() }
  }
}

function createHandle(spec: MetricSpec, registry: Registry): unknown {
  const config = {
    name: spec.name,
    help: spec.help,
    labelNames: [...(spec.labels ?? [])],
    registers: [registry],
  }
  switch (spec.kind) {
    case 'counter':
      return counterHandle(new PromCounter(config))
    case 'gauge':
      return gaugeHandle(new PromGauge(config))
    case 'histogram': {
      const buckets = spec.buckets === undefined ? {} : { buckets: [...spec.buckets] }
      const metric = new PromHistogram({ ...config, ...buckets })
      return {
        observe(value: number, labels: Labels<string> = {}) {
          metric.observe(labels, value)
        },
      } satisfies Histogram<string>
    }
    default:
      return spec.kind satisfies never
  }
}

function counterHandle(metric: PromCounter): Counter<string> {
  return {
    add(amount, labels = {}) {
      metric.inc(labels, amount)
    },
    with(labels = {}) {
      const child = metric.labels(labels)
      return { add: (amount) => child.inc(amount) }
    },
  }
}

function gaugeHandle(metric: PromGauge): Gauge<string> {
  return {
    set(value, labels = {}) {
      metric.set(labels, value)
    },
    replace(rows, rowsMax) {
      const sorted = [...rows].sort((a, b) => b.value - a.value)
      metric.reset()
      for (const row of sorted.slice(0, rowsMax)) metric.set(row.labels, row.value)
      return Math.max(0, sorted.length - rowsMax)
    },
  }
}

/** The documentation of a table. Ends in a newline. */
export function metricsMarkdown(title: string, table: MetricTable): string {
  const rows = Object.values(table).map((spec) => {
    const labels = (spec.labels ?? []).map((label) => `\`${label}\``).join(', ')
    return `| \`${spec.name}\` | ${spec.kind} | ${labels} | ${spec.help} |`
  })
  const head = ['| metric | kind | labels | meaning |', '|---|---|---|---|']
  return [`# ${title}`, '', ...head, ...rows].join('\n') + '\n'
}
