/**
 * The shape of an option table. One table gives the flags, the environment names, `--help`, the
 * documentation page and the types of a command's options. Defaults and bounds are written as a
 * user would write them (`72h`, `256MiB`), so that they pass through the same parser and read well.
 */

interface OptionBase {
  /** One sentence for `--help` and the documentation. */
  readonly help: string
  /** Heading under which help and documentation list the option. */
  readonly group: string
  /** Why the default is what it is; shown in the documentation only. */
  readonly why?: string
  /** Flag name when it is not the table key in kebab-case (`host` for the key `hosts`). */
  readonly flag?: string
  /** What stands after the flag in help when the kind's own word says too little: `path`. */
  readonly placeholder?: string
  /** Left out of `--help`; still documented. */
  readonly hidden?: true
  /** The value is never repeated in an error or a log line. */
  readonly secret?: true
}

interface StringOption extends OptionBase {
  readonly kind: 'string'
  readonly default: string
}
interface IntegerOption extends OptionBase {
  readonly kind: 'integer'
  readonly default: string
  readonly min: number
  readonly max: number
}
interface ThreadsOption extends OptionBase {
  readonly kind: 'threads'
  /** A number, or `auto`, which gives null: whoever starts them decides. */
  readonly default: string
  readonly max: number
}
interface BytesOption extends OptionBase {
  readonly kind: 'bytes'
  readonly default: string
  readonly min: string
  readonly max: string
}
interface DurationOption extends OptionBase {
  readonly kind: 'duration'
  readonly default: string
  readonly min: string
  readonly max: string
}
interface BooleanOption extends OptionBase {
  readonly kind: 'boolean'
  readonly default: 'true' | 'false'
}
interface ChoiceOption extends OptionBase {
  readonly kind: 'choice'
  readonly default: string
  readonly values: readonly string[]
}
interface AddressOption extends OptionBase {
  readonly kind: 'address'
  readonly default: string
  /** `off` is allowed and gives null. */
  readonly off: boolean
}
interface ListOption extends OptionBase {
  readonly kind: 'list'
  readonly item: 'host' | 'url' | 'network'
  /** Comma-separated, as in the environment. */
  readonly default: string
}
interface SettingsOption extends OptionBase {
  readonly kind: 'settings'
  /** Comma-separated `name=value` pairs. */
  readonly default: string
  readonly names: readonly string[]
  readonly values: readonly string[]
}

/** One option: what it takes, what it takes by default, and what it is for. */
export type OptionSpec =
  | StringOption
  | IntegerOption
  | ThreadsOption
  | BytesOption
  | DurationOption
  | BooleanOption
  | ChoiceOption
  | AddressOption
  | ListOption
  | SettingsOption

/** A command's options by camelCase key, in the order in which help shows them. */
export type OptionTable = Readonly<Record<string, OptionSpec>>

/** Where a server listens. Port 0 lets the system choose one. */
export interface ListenAddress {
  /** A name, an IPv4 address, or an IPv6 address without brackets. */
  readonly host: string
  readonly port: number
}

/** The parsed type of one option: bytes are bytes, durations milliseconds. */
export type OptionValue<S extends OptionSpec> = S extends { kind: 'integer' | 'bytes' | 'duration' }
  ? number
  : S extends { kind: 'boolean' }
    ? boolean
    : S extends { kind: 'threads' }
      ? number | null
      : S extends { kind: 'choice'; values: readonly (infer V)[] }
        ? V
        : S extends { kind: 'address'; off: infer Off }
          ? true extends Off
            ? ListenAddress | null
            : ListenAddress
          : S extends { kind: 'list' }
            ? readonly string[]
            : S extends {
                  kind: 'settings'
                  names: readonly (infer N)[]
                  values: readonly (infer V)[]
                }
              ? Readonly<Partial<Record<N & string, V>>>
              : string

/** The parsed types of a whole table. */
export type OptionValues<T extends OptionTable> = { readonly [K in keyof T]: OptionValue<T[K]> }

/** The prefix of every environment variable that Skein reads. */
export const ENVIRONMENT_PREFIX = 'SKEIN_'

/** The flag of an option without its dashes: `new-hosts-from`. */
export function flagOf(key: string, spec: OptionSpec): string {
  return spec.flag ?? key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** The environment variable of an option: `SKEIN_NEW_HOSTS_FROM`. */
export function environmentNameOf(key: string, spec: OptionSpec): string {
  return ENVIRONMENT_PREFIX + flagOf(key, spec).replaceAll('-', '_').toUpperCase()
}

/** Longest list of choices that stands in a flag's usage; longer ones stand in its help. */
const CHOICES_CHARS_MAX = 20

/** Whether the usage spells the choices out; else the help does. */
export function showsChoices(spec: OptionSpec): boolean {
  return spec.kind === 'choice' && spec.values.join('|').length <= CHOICES_CHARS_MAX
}

/** What stands after the flag in help: `<duration>`; null for a boolean, which takes nothing. */
export function placeholderOf(spec: OptionSpec): string | null {
  if (spec.kind === 'boolean') return null
  if (spec.placeholder !== undefined) return `<${spec.placeholder}>`
  if (spec.kind === 'choice') return showsChoices(spec) ? `<${spec.values.join('|')}>` : '<name>'
  if (spec.kind === 'list') return `<${spec.item}>`
  return `<${PLACEHOLDERS[spec.kind]}>`
}

const PLACEHOLDERS = {
  string: 'text',
  integer: 'n',
  threads: 'n',
  bytes: 'size',
  duration: 'duration',
  address: 'host:port',
  settings: 'name=value',
} as const
