/** Help texts and the documentation page of an option table. */

import {
  environmentNameOf,
  flagOf,
  type OptionSpec,
  type OptionTable,
  placeholderOf,
  showsChoices,
} from './option-table.ts'

/** The help of one option, with its environment variable and default, for a terminal. */
export function optionHelp(key: string, spec: OptionSpec): string {
  const notes = [`env ${environmentNameOf(key, spec)}`]
  if (spec.kind === 'list' || spec.kind === 'settings') notes.push('repeatable')
  if (spec.kind === 'choice' && !showsChoices(spec)) notes.push(spec.values.join(' '))
  if (spec.kind === 'settings') notes.push(`names: ${spec.names.join(' ')}`)
  if (spec.default !== '' && spec.kind !== 'boolean') notes.push(`default ${spec.default}`)
  return `${spec.help} [${notes.join(', ')}]`
}

/** How the flag is written: `--bind <host:port>`, `--no-request-crawl`. */
export function optionUsage(key: string, spec: OptionSpec): string {
  const placeholder = placeholderOf(spec)
  if (placeholder !== null) return `--${flagOf(key, spec)} ${placeholder}`
  return spec.default === 'true' ? `--no-${flagOf(key, spec)}` : `--${flagOf(key, spec)}`
}

/** What an option takes, in words. */
function allowedText(spec: OptionSpec): string {
  switch (spec.kind) {
    case 'integer':
    case 'bytes':
    case 'duration':
      return `${spec.min} to ${spec.max}`
    case 'threads':
      return `0 to ${spec.max}, or \`auto\``
    case 'choice':
      return spec.values.map((value) => `\`${value}\``).join(', ')
    case 'settings':
      return `${spec.values.map((v) => `\`${v}\``).join(', ')} for any of ${spec.names.join(', ')}`
    case 'address':
      return spec.off ? '`host:port` or `off`' : '`host:port`'
    case 'list':
      return `${spec.item}s, repeated or comma-separated`
    case 'boolean':
      return 'a switch; in the environment `true` or `false`'
    case 'string':
      return 'text'
    default:
      return spec satisfies never
  }
}

/** The documentation of a table: one section a group, one entry an option. Ends in a newline. */
export function optionsMarkdown(title: string, table: OptionTable): string {
  const groups = new Map<string, string[]>()
  for (const [key, spec] of Object.entries(table)) {
    const lines = groups.get(spec.group) ?? []
    groups.set(spec.group, lines)
    const initial = spec.default === '' ? 'none' : `\`${spec.default}\``
    lines.push(
      `### \`${optionUsage(key, spec)}\``,
      '',
      spec.help + (spec.why === undefined ? '' : ` ${spec.why}`),
      '',
      `- environment: \`${environmentNameOf(key, spec)}\``,
      `- default: ${initial}`,
      `- takes: ${allowedText(spec)}`,
      '',
    )
  }
  const sections = [...groups].map(([group, lines]) => `## ${group}\n\n${lines.join('\n')}`)
  const intro =
    'A flag wins over its environment variable, which wins over the default. ' +
    'An unknown `SKEIN_` variable is an error.'
  return [`# ${title}`, '', intro, '', ...sections].join('\n').trimEnd() + '\n'
}
