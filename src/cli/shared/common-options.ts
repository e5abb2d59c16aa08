/** The options that every command of the client side takes, and values that several share. */

/** Added to the table of each command by {@link addCommand}. */
export const COMMON_OPTIONS = {
  json: {
    kind: 'boolean',
    default: 'false',
    group: 'Output',
    help: 'Print JSON: one value, or for lists and streams one value a line.',
  },
  timeout: {
    kind: 'duration',
    min: '100ms',
    max: '1h',
    default: '30s',
    group: 'Network',
    help: 'How long a service may keep silent.',
  },
  plc: {
    kind: 'list',
    item: 'url',
    default: 'https://plc.directory',
    group: 'Network',
    help: 'PLC directory. Several are asked in the order given.',
  },
  allowPrivateNetwork: {
    kind: 'boolean',
    default: 'false',
    group: 'Network',
    help: 'Follow redirects and DID documents to loopback and private addresses too.',
  },
  debug: {
    kind: 'boolean',
    default: 'false',
    group: 'Output',
    help: 'Show the stack of an error that ends the command.',
  },
} as const

/** The relay that is asked when none is named. */
export const DEFAULT_RELAY = 'https://relay1.us-east.bsky.network'

/** Value of a text option that was not given. */
export const NOT_GIVEN = 'none'

/** The value of a text option; null when it was not given. */
export function given(value: string): string | null {
  return value === NOT_GIVEN ? null : value
}

/** For commands that read from one service: whom to ask instead of the account's own host. */
export const SERVICE_OPTION = {
  service: {
    kind: 'string',
    placeholder: 'host',
    default: 'none',
    group: 'Network',
    help: "Ask this host, relay or mirror instead of the account's own host.",
  },
} as const
