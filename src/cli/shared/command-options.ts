/** Option tables as commander flags. */

import { type Command, Option } from 'commander'

import { optionHelp } from '../../ops/option-docs.ts'
import { flagOf, type OptionSpec, type OptionTable, placeholderOf } from '../../ops/option-table.ts'
import type { RawFlags } from '../../ops/options.ts'

/** Adds a flag for each option. A switch gets both forms; help shows the one that changes it. */
export function addOptions(command: Command, table: OptionTable): void {
  for (const [key, spec] of Object.entries(table)) {
    const flag = flagOf(key, spec)
    const help = optionHelp(key, spec)
    const placeholder = placeholderOf(spec)
    if (placeholder === null) {
      const [shown, other] = spec.default === 'true' ? ['no-', ''] : ['', 'no-']
      command.addOption(shape(new Option(`--${shown}${flag}`, help), spec))
      command.addOption(shape(new Option(`--${other}${flag}`), spec).hideHelp())
      continue
    }
    const option = shape(new Option(`--${flag} ${placeholder}`, help), spec)
    if (spec.kind === 'list' || spec.kind === 'settings') {
      option.argParser<string[] | undefined>((value, previous) => [...(previous ?? []), value])
    }
    command.addOption(option)
  }
}

function shape(option: Option, spec: OptionSpec): Option {
  return option.helpGroup(`${spec.group}:`).hideHelp(spec.hidden === true)
}

/**
 * The flags that were given on the command line, by table key; commander's own defaults are not.
 */
export function flagsOf(command: Command, table: OptionTable): RawFlags {
  const flags: Record<string, string | readonly string[] | boolean> = {}
  for (const [key, spec] of Object.entries(table)) {
    const name = flagOf(key, spec).replaceAll(/-([a-z])/g, (_, letter: string) =>
      letter.toUpperCase(),
    )
    if (command.getOptionValueSource(name) !== 'cli') continue
    const value: unknown = command.getOptionValue(name)
    if (typeof value === 'string' || typeof value === 'boolean') flags[key] = value
    else if (Array.isArray(value)) flags[key] = value.map(String)
  }
  return flags
}
