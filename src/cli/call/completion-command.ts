/** `skein completion`: completion for shells, made from the tree of commands. */

import type { Command } from 'commander'

import { addCommand, type CliContext } from '../shared/command.ts'

export function addCompletionCommand(program: Command, context: CliContext): void {
  addCommand(program, context, {
    name: 'completion',
    words: '<shell>',
    description: 'Print a completion script for bash, zsh or fish.',
    options: {},
    examples: [
      ['bash', 'source <(skein completion bash)'],
      ['zsh', 'skein completion zsh > "${fpath[1]}/_skein"'],
      ['fish', 'skein completion fish > ~/.config/fish/completions/skein.fish'],
    ],
    load: async () => {
      const { completionRun } = await import('./completion.ts')
      return completionRun(program)
    },
  })
}
