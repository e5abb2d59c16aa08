/** Completion scripts for shells, the tree of commands written out: nothing runs at a key press. */

import type { Command } from 'commander'

import { SkeinError } from '../../lib/errors.ts'
import type { OptionTable } from '../../ops/option-table.ts'
import type { CommandRun } from '../shared/command.ts'
import { EXIT } from '../io.ts'

/** One command as a shell sees it. */
export interface CompletionNode {
  /** Words from the program on: `repo get`; empty for the program itself. */
  readonly path: string
  readonly description: string
  readonly commands: readonly { readonly name: string; readonly description: string }[]
  readonly options: readonly CompletionOption[]
}

export interface CompletionOption {
  /** `--format`. */
  readonly flag: string
  readonly description: string
  /** What may follow; null for a switch, empty for anything. */
  readonly values: readonly string[] | null
}

/** Every command of the tree, parents first. */
export function completionNodes(program: Command, path = ''): CompletionNode[] {
  const children = program.commands
  const own: CompletionNode = {
    path,
    description: program.description(),
    commands: children.map((child) => ({ name: child.name(), description: child.description() })),
    options: [
      ...program.options
        .filter((option) => !option.hidden)
        .map((option) => ({
          flag: option.long ?? option.flags,
          description: option.description.replace(/ \[[^\]]*\]$/, ''),
          values: option.required ? valuesOf(option.flags) : null,
        })),
      { flag: '--help', description: 'Show this help.', values: null },
    ],
  }
  const below = children.flatMap((child) =>
    completionNodes(child, path === '' ? child.name() : `${path} ${child.name()}`),
  )
  return [own, ...below]
}

/** The choices that a flag's usage spells out: `--format <json|ndjson>`. */
function valuesOf(flags: string): string[] {
  const placeholder = /<([^>]*)>/.exec(flags)?.[1] ?? ''
  return placeholder.includes('|') ? placeholder.split('|') : []
}

/** The work of `skein completion`. */
export function completionRun(program: Command): CommandRun<OptionTable> {
  return async ({ words, output }) => {
    const [shell = ''] = words
    const write = Object.hasOwn(SHELLS, shell) ? SHELLS[shell] : undefined
    if (write === undefined) {
      throw new SkeinError('OPTION_INVALID', 'completion: the shell is bash, zsh or fish', {
        shell: JSON.stringify(shell.slice(0, 40)),
      })
    }
    await output.line(write(completionNodes(program)))
    return EXIT.ok
  }
}

/** Within single quotes of a POSIX shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

function bash(nodes: readonly CompletionNode[]): string {
  const cases = nodes.map(({ path, commands, options }) => {
    const words = [...commands.map(({ name }) => name), ...options.map(({ flag }) => flag)]
    return `    ${quoted(path)}) words=${quoted(words.join(' '))} ;;`
  })
  const values = nodes.flatMap(({ path, options }) =>
    options.flatMap((option) =>
      option.values === null
        ? []
        : [`    ${quoted(`${path} ${option.flag}`)}) values=${quoted(option.values.join(' '))} ;;`],
    ),
  )
  const paths = nodes.map(({ path }) => quoted(path)).join('|')
  return `# Completion of skein for bash: source <(skein completion bash)
_skein() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" path='' next words='' values='-' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    next="\${path:+$path }\${COMP_WORDS[i]}"
    case "$next" in
    ${paths}) path="$next" ;;
    esac
  done
  case "$path \${COMP_WORDS[COMP_CWORD-1]}" in
${values.join('\n')}
  esac
  if [ "$values" != '-' ]; then
    if [ -n "$values" ]; then COMPREPLY=($(compgen -W "$values" -- "$cur"))
    else COMPREPLY=($(compgen -f -- "$cur")); fi
    return
  fi
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  if [ \${#COMPREPLY[@]} -eq 0 ] && [ "\${cur:0:1}" != '-' ]; then
    COMPREPLY=($(compgen -f -- "$cur"))
  fi
}
complete -o filenames -o bashdefault -F _skein skein`
}

/** Within a description of zsh. */
function escaped(text: string): string {
  return text.replaceAll(/[[\]:\\]/g, (found) => `\\${found}`)
}

function zsh(nodes: readonly CompletionNode[]): string {
  const cases = nodes.map(({ path, commands, options }) => {
    const named = commands.map(({ name, description }) => quoted(`${name}:${escaped(description)}`))
    const flags = options.map(({ flag, description, values }) => {
      const after =
        values === null
          ? ''
          : values.length === 0
            ? ':value:_files'
            : `:value:(${values.join(' ')})`
      return quoted(`${flag}[${escaped(description)}]${after}`)
    })
    return `    ${quoted(path)})
      commands=(${named.join(' ')})
      flags=(${flags.join(' ')}) ;;`
  })
  const paths = nodes.map(({ path }) => quoted(path)).join('|')
  return `#compdef skein
# Completion of skein for zsh: skein completion zsh > "\${fpath[1]}/_skein"
_skein() {
  local skein_path='' next i
  local -a commands flags
  for ((i = 2; i < CURRENT; i++)); do
    next="\${skein_path:+$skein_path }\${words[i]}"
    case "$next" in
    ${paths}) skein_path="$next" ;;
    esac
  done
  case "$skein_path" in
${cases.join('\n')}
  esac
  if (( \${#commands} )) && [[ "\${words[CURRENT]}" != -* ]]; then
    _describe command commands
  else
    _arguments "\${flags[@]}" '*:target:_files'
  fi
}
compdef _skein skein 2>/dev/null || true`
}

function fish(nodes: readonly CompletionNode[]): string {
  const lines = nodes.flatMap(({ path, commands, options }) => {
    const condition = `__skein_at ${quoted(path)}`
    const begin = `complete -c skein -n ${fishQuoted(condition)}`
    return [
      ...commands.map(
        ({ name, description }) => `${begin} -f -a ${name} -d ${fishQuoted(description)}`,
      ),
      ...options.map(({ flag, description, values }) => {
        const takes =
          values === null
            ? ''
            : values.length === 0
              ? ' -r'
              : ` -x -a ${fishQuoted(values.join(' '))}`
        return `${begin} -l ${flag.slice(2)}${takes} -d ${fishQuoted(description)}`
      }),
    ]
  })
  return `# Completion of skein for fish
function __skein_at
  set -l path ''
  for word in (commandline -opc)[2..]
    set -l next (string trim "$path $word")
    if contains -- $next ${nodes
      .filter(({ path }) => path !== '')
      .map(({ path }) => quoted(path))
      .join(' ')}
      set path $next
    end
  end
  test "$path" = "$argv[1]"
end
${lines.join('\n')}`
}

function fishQuoted(text: string): string {
  return `'${text.replaceAll(/[\\']/g, (found) => `\\${found}`)}'`
}

const SHELLS: Readonly<Record<string, (nodes: readonly CompletionNode[]) => string>> = {
  bash,
  zsh,
  fish,
}
