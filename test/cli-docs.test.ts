/** docs/cli.md and the generated page tell of every command and every option that there is. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { commandsPage, documentedCommands } from '../scripts/command-page.ts'
import { EXIT } from '../src/cli/io.ts'
import { readText } from './support/repository.ts'

const PAGE = readText('docs/cli.md')
const COMMANDS = documentedCommands()

test('every command has a section with an example', () => {
  assert(COMMANDS.length > 15)
  for (const { path } of COMMANDS) {
    const section = PAGE.split(`\n### skein ${path}\n`)[1]?.split(/\n##+ /)[0]
    assert(section !== undefined, `docs/cli.md has no section "### skein ${path}"`)
    assert(section.includes(`skein ${path}`), `the section of ${path} has no example`)
  }
})

test('no section is of a command that is not there', () => {
  const sections = [...PAGE.matchAll(/^### skein (.*)$/gm)].map(([, path = '']) => path)
  const known = new Set(COMMANDS.map(({ path }) => path))
  assert.deepEqual(
    sections.filter((path) => !known.has(path)),
    [],
  )
})

test('examples use options that there are', () => {
  const flags = new Set(
    COMMANDS.flatMap(({ command }) => command.options.map(({ long }) => long ?? '')),
  )
  const used = [...PAGE.matchAll(/^skein .*$/gm)].flatMap(
    ([line]) => line.match(/--[a-z-]+/g) ?? [],
  )
  assert(used.length > 10)
  assert.deepEqual(
    used.filter((flag) => !flags.has(flag)),
    [],
  )
})

test('the generated page has every option of every command', () => {
  const page = commandsPage()
  for (const { path, command } of COMMANDS) {
    const section = page.split(`\n## \`skein ${path}`)[1]?.split('\n## ')[0] ?? ''
    if (section.includes('Options: [')) continue
    for (const option of command.options.filter(({ hidden }) => !hidden)) {
      assert(section.includes(option.flags.replaceAll('|', '\\|')), `${path} ${option.flags}`)
    }
  }
})

test('every exit code is explained', () => {
  for (const code of Object.values(EXIT)) assert.match(PAGE, new RegExp(`^\\| ${code} `, 'm'))
})
