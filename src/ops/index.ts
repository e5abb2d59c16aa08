/**
 * What every composition needs to be run by an operator: options, logs, metrics, a lifecycle.
 *
 * - `option-table.ts`: the shape of an option table; names of flags and variables
 * - `option-values.ts`: parsers of durations, sizes, addresses and lists
 * - `options.ts`: flag before environment before default; unknown variables
 * - `option-docs.ts`: help texts and the documentation page
 * - `relay-options.ts`: the relay's table and its parsed type
 * - `sim-options.ts`: those of `skein sim` and `skein demo`
 * - `logger.ts`: structured lines on pino
 * - `metrics.ts`, `relay-metrics.ts`, `host-metrics.ts`: metric tables on prom-client
 * - `lifecycle.ts`: opened in order, closed in reverse, with time-outs
 * - `temporary-directory.ts`: a directory that goes with its owner
 * - `build-info.ts`: the version
 *
 * Owns nothing global: a registry, a logger and a lifecycle belong to whoever creates them. It does
 * not read the environment (only `cli` does), does not end the process, and starts no server.
 *
 * @module
 */

export { PRODUCT, RELAY_PRODUCT, VERSION } from './build-info.ts'
export {
  type CloseProblem,
  Lifecycle,
  type LifecycleOptions,
  type PartOptions,
} from './lifecycle.ts'
export {
  createLogger,
  type LogFields,
  type Logger,
  type LoggerOptions,
  type LogLevel,
  silentLogger,
} from './logger.ts'
export {
  type Counter,
  type Gauge,
  type GaugeRow,
  type Histogram,
  type MetricHandles,
  type MetricSpec,
  type MetricsPage,
  MetricsRegistry,
  type MetricTable,
  metricsMarkdown,
} from './metrics.ts'
export { createHostMetrics, HOST_METRICS, type HostMetrics } from './host-metrics.ts'
export { optionsMarkdown } from './option-docs.ts'
export {
  ENVIRONMENT_PREFIX,
  type ListenAddress,
  type OptionSpec,
  type OptionTable,
  type OptionValue,
  type OptionValues,
} from './option-table.ts'
export {
  formatListenAddress,
  parseBytes,
  parseDuration,
  parseListenAddress,
} from './option-values.ts'
export {
  checkEnvironment,
  type Environment,
  type OptionSources,
  parseOptions,
  type RawFlags,
} from './options.ts'
export {
  createRelayMetrics,
  detachedRelayMetrics,
  type HostSample,
  RELAY_METRICS,
  type RelayMetrics,
  sampleHosts,
  sampleSubscribers,
  SERIES_MAX,
  type SubscriberMetrics,
  type SubscriberSample,
} from './relay-metrics.ts'
export {
  type CheckMode,
  type LooseCheck,
  parseRelayOptions,
  RELAY_OPTIONS,
  relayOptions,
  type RelayOptions,
} from './relay-options.ts'
export {
  DEMO_OPTIONS,
  type DemoOptions,
  parseDemoOptions,
  parseSimOptions,
  SIM_OPTIONS,
  type SimOptions,
} from './sim-options.ts'
export { TemporaryDirectory } from './temporary-directory.ts'
