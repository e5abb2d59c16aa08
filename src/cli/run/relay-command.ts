/** `skein relay`: starts a relay and runs it until it is told to stop. */

import { resolve } from 'node:path'

import { VERSION } from '../../ops/build-info.ts'
import { createLogger, type Logger } from '../../ops/logger.ts'
import { MetricsRegistry } from '../../ops/metrics.ts'
import type { RelayOptions } from '../../ops/relay-options.ts'
import type { StartRelayOptions } from '../../server/start-relay.ts'
import { type CliIo, EXIT } from '../io.ts'
import { reportError } from '../shared/report-error.ts'
import { listenForStop } from './stop-signal.ts'

/** A started relay, as far as this command is concerned. */
export interface RunningRelay {
  /** Where it listens, `127.0.0.1:2470`. */
  readonly address: string
  /** Where its metrics are; null when they are off. */
  readonly metricsAddress: string | null
  /** Which implementation verifies signatures, by curve. */
  readonly signatureBackends?: Readonly<Record<string, string>>
  /** Drains and closes. Resolves when nothing can be lost any more. */
  stop(): Promise<void>
  /** Settles with the error that ended the relay, if one does. */
  readonly failed: Promise<Error>
}

/** Starts a relay; rejects with a SkeinError when it cannot. */
export type StartRelay = (options: StartRelayOptions) => Promise<RunningRelay>

/**
 * Runs a relay until a stop signal or a failure, and returns the exit code. The first signal
 * drains; a second one ends the process at once. Log lines go to standard output, what is meant for
 * a person to standard error.
 */
export async function runRelay(
  options: RelayOptions,
  io: CliIo,
  startRelay: StartRelay,
): Promise<number> {
  const stopSignal = listenForStop(io)
  try {
    const logger = loggerOf(options, io)
    const registry = new MetricsRegistry()
    registry.registerProcessMetrics()
    const relay = await startRelay({ ...options, logger, registry })
    if (options.logLevel !== 'silent') io.stderr(announcement(options, relay))
    const failure = relay.failed.catch((error: unknown) => error)
    const end = await Promise.race([stopSignal.received, failure])
    if (end === 'SIGTERM' || end === 'SIGINT') {
      io.stderr(`skein: ${end}: stopping (again to stop at once)\n`)
      await relay.stop()
      return EXIT.ok
    }
    const code = reportError(io, end, options.debug ? 'stack' : 'line')
    // The failure has been told; what else breaks while closing belongs in the log.
    await relay.stop().catch((error: unknown) => {
      logger.error('relay: stopping failed', { error })
    })
    return code
  } finally {
    stopSignal.forget()
  }
}

function loggerOf(options: RelayOptions, io: CliIo): Logger {
  const isText =
    options.logFormat === 'text' || (options.logFormat === 'auto' && io.stdoutIsTerminal)
  return createLogger({
    level: options.logLevel,
    format: isText ? 'text' : 'json',
    write: (line) => io.stdout(line),
  })
}

/** What a person who starts a relay wants to know next. */
function announcement(options: RelayOptions, relay: RunningRelay): string {
  const http = `http://${relay.address}`
  const metrics = relay.metricsAddress === null ? 'off' : `http://${relay.metricsAddress}/metrics`
  const backends = Object.entries(relay.signatureBackends ?? {})
  const lines = [
    `skein ${VERSION}: the relay is running`,
    `  listening   ${http}`,
    `  metrics     ${metrics}`,
    `  data        ${resolve(options.data)}`,
    `  hosts       ${options.hosts.length === 0 ? 'only those already known' : options.hosts.join(', ')}`,
    ...(backends.length === 0
      ? []
      : [`  signatures  ${backends.map(([curve, name]) => `${curve} by ${name}`).join(', ')}`]),
    `  subscribe   ws://${relay.address}/xrpc/com.atproto.sync.subscribeRepos?cursor=0`,
    `  add a host  curl ${http}/xrpc/com.atproto.sync.requestCrawl \\`,
    `                -H 'content-type: application/json' -d '{"hostname":"pds.example.com"}'`,
  ]
  return `${lines.join('\n')}\n`
}
