/** The relay's command line: the only place that knows the names of its options. */

import { fileURLToPath } from 'node:url'

/** What a relay is started with. */
export interface RelaySettings {
  /** Port of 127.0.0.1 to listen on; the same after every restart. */
  readonly port: number
  readonly plcUrl: string
  /** Hosts to subscribe to from the start, `localhost:PORT` each. */
  readonly hosts: readonly string[]
  /** Its data directory, which outlives restarts. */
  readonly dataDirectory: string
}

/** Skein's own entry point. */
export const SKEIN_ENTRY: string = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

/** Arguments of Node for a relay whose entry point is the file `entry`. */
export function relayArguments(entry: string, settings: RelaySettings): string[] {
  return [
    entry,
    'relay',
    '--allow-private-network',
    '--plc',
    settings.plcUrl,
    ...settings.hosts.flatMap((host) => ['--host', `http://${host}`]),
    '--bind',
    `127.0.0.1:${settings.port}`,
    // Its default is one fixed port, which another relay on this machine may hold.
    '--metrics-bind',
    'off',
    '--data',
    settings.dataDirectory,
  ]
}
