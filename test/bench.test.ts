import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { costOf, median } from '../bench/bench.ts'

const MAIN = fileURLToPath(new URL('../bench/main.ts', import.meta.url))

function bench(...args: readonly string[]): {
  readonly status: number | null
  readonly text: string
} {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8',
  })
  return { status, text: stdout + stderr }
}

test('--help lists the benchmarks; what is not known ends with code 2', () => {
  const help = bench('--help')
  assert.equal(help.status, 0)
  assert.match(help.text, /^ {2}verify +\S/m)
  for (const args of [
    [],
    ['nothing'],
    ['constructor'],
    ['verify', 'verify'],
    ['verify', '--what'],
  ]) {
    const { status, text } = bench(...args)
    assert.equal(status, 2, args.join(' '))
    assert.match(text, /Usage: npm run bench/)
  }
})

test('median and cost', async () => {
  assert.equal(median([3, 1, 2]), 2)
  assert.equal(median([4]), 4)
  const { cpuUs, wallUs } = await costOf(() => {
    const end = performance.now() + 20
    while (performance.now() < end);
  })
  assert.ok(wallUs >= 20_000 && cpuUs > 5_000)
})
