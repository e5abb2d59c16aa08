import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { TemporaryDirectory } from '../../src/ops/temporary-directory.ts'
import { isPresent, isTestFile, readText } from '../support/repository.ts'
import { MUTANTS } from './all-mutants.ts'
import { compare, readBaseline } from './baseline.ts'
import { anchorFault, type Mutant, mutate, unifiedDiff } from './mutant.ts'
import { copyTree } from './tree-copy.ts'
import { CleanRuns, type TrialOutcome, tryMutant } from './trial.ts'

test('every mutant can be planted: its text stands exactly once in its file', () => {
  const faults = MUTANTS.flatMap((mutant) => anchorFault(mutant, readText(mutant.file)) ?? [])
  assert.deepEqual(faults, [])
})

test('mutants are named once, spread over the code, and each names tests that are there', () => {
  const names = MUTANTS.map(({ name }) => name)
  assert.deepEqual([...new Set(names)], names)
  assert(names.length >= 40)
  for (const { name, file, models, tests } of MUTANTS) {
    assert.match(name, /^[a-z0-9]+(?:-[a-z0-9]+)*$/)
    assert(file.startsWith('src/') && !isTestFile(file), `${name}: ${file} ships`)
    assert(/^[A-Z].*\.$/.test(models), `${name}: a sentence`)
    assert(tests.length > 0, `${name}: a test`)
    for (const path of tests) assert(path.endsWith('.test.ts') && isPresent(path), path)
  }
  const broken = new Set(MUTANTS.flatMap(({ invariants }) => invariants))
  for (let n = 1; n <= 11; n++) assert(broken.has(`I${n}` as Mutant['invariants'][number]), `I${n}`)
})

test('the baseline knows every mutant and no other', () => {
  assert.deepEqual(Object.keys(readBaseline()), MUTANTS.map(({ name }) => name).sort())
})

const SOURCE = `/** Adds. */
export function add(a, b) {
  const sum = a + b
  return sum
}
`

/** Its tests are in `sum.test.mjs`, and one in `wider.test.ts`, which no mutant names. */
function mutantOf(change: Pick<Mutant, 'name' | 'find' | 'replace'>): Mutant {
  const tests = ['src/sum/sum.test.mjs']
  return { ...change, models: 'It.', invariants: [], file: 'src/sum/sum.mjs', tests }
}

test('a mutant is text in its one place, and a diff that says so', () => {
  const mutant = mutantOf({ name: 'minus', find: 'a + b', replace: 'a - b' })
  assert.equal(mutate(mutant, SOURCE), SOURCE.replace('a + b', 'a - b'))
  for (const find of ['', 'sum', 'absent']) {
    assert.throws(() => mutate({ ...mutant, find }, SOURCE), /^Error: minus: /)
  }
  assert.throws(() => mutate({ ...mutant, replace: 'a + b' }, SOURCE), /changes nothing/)
  assert.equal(
    unifiedDiff('src/sum.mjs', SOURCE, mutate(mutant, SOURCE)),
    [
      '--- a/src/sum.mjs',
      '+++ b/src/sum.mjs',
      '@@ -1,5 +1,5 @@',
      ' /** Adds. */',
      ' export function add(a, b) {',
      '-  const sum = a + b',
      '+  const sum = a - b',
      '   return sum',
      ' }',
      '',
    ].join('\n'),
  )
  const gone = 'a\nb\nc\nd\ne\nf\ng\nh\ni\n'
  assert.equal(
    unifiedDiff('x', gone, gone.replace('e\n', '')),
    '--- a/x\n+++ b/x\n@@ -2,7 +2,6 @@\n b\n c\n d\n-e\n f\n g\n h\n',
  )
})

const NAMED_TESTS = `import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { add } from './sum.mjs'
test('nothing is added to one', () => assert.equal(add(1, 0), 1))
describe('of two', () => {
  test('one # and \\\\ one are two', () => assert.equal(add(1, 1), 2))
  test('is asked for once', async () => { if (add(2, 2) > 4) await new Promise(() => setInterval(() => {}, 1e6)) })
})
`

/** Fails without any bug. */
const BROKEN_TEST = `import { test } from 'node:test'
test('always fails', () => { throw new Error('always') })
`

const WIDER_TEST = `import assert from 'node:assert/strict'
import { test } from 'node:test'
import { add } from './sum.mjs'
test('below zero', () => assert.equal(add(-1, -1), -2))
`

test('a bug is killed by a test that passes without it, and by nothing else', async (t) => {
  await using project = await TemporaryDirectory.create('skein-mutants-test-')
  const files = {
    'src/sum/sum.mjs': SOURCE,
    'src/sum/sum.test.mjs': NAMED_TESTS,
    'src/sum/broken.test.ts': BROKEN_TEST,
    'src/sum/wider.test.ts': WIDER_TEST,
    'src/other/other.test.ts': BROKEN_TEST,
  }
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(project.path, path, '..'), { recursive: true })
    writeFileSync(join(project.path, path), text)
  }
  const paths = Object.keys(files)
  const { copies, remove } = copyTree(project.path, paths, 1)
  t.after(remove)
  const [copy] = copies
  assert(copy !== undefined)
  const clean = new CleanRuns()
  const outcomeOf = (replace: string): Promise<TrialOutcome> => {
    const mutant = mutantOf({ name: 'one', find: 'a + b', replace })
    return tryMutant(mutant, { copy, clean, files: paths, expected: undefined })
  }
  const before = await clean.run('src/sum/sum.test.mjs', copy)
  assert.equal(before.kind, 'passed')
  const { ms: _, ...killed } = (await outcomeOf('a * b')) as { readonly ms: number }
  assert.deepEqual(killed, {
    kind: 'killed',
    by: 'src/sum/sum.test.mjs: nothing is added to one',
    how: 'failed',
    test: 'named',
  })
  const nested = await outcomeOf('Math.max(a, b)')
  assert(nested.kind === 'killed')
  assert.equal(nested.by, String.raw`src/sum/sum.test.mjs: one # and \ one are two`)
  const wider = await outcomeOf('Math.abs(a + b)')
  assert(wider.kind === 'killed' && wider.test === 'wider')
  assert.equal(wider.by, 'src/sum/wider.test.ts: below zero')
  const survivor = await outcomeOf('b + a')
  assert(survivor.kind === 'survived')
  assert.equal(survivor.testFiles, 3)
  const unloadable = await outcomeOf('a +* b')
  assert(unloadable.kind === 'unloadable')
  assert.match(unloadable.detail, /SyntaxError/)
  const hasty = new CleanRuns({ leastMs: 1_000 })
  await hasty.run('src/sum/sum.test.mjs', copy)
  const hanging = await tryMutant(
    mutantOf({ name: 'hangs', find: 'a + b', replace: '(a === 2 ? 5 : a + b)' }),
    { copy, clean: hasty, files: paths, expected: 'src/sum/sum.test.mjs: (hangs)' },
  )
  assert(hanging.kind === 'killed' && hanging.how === 'hung')
  assert.equal(readFileSync(join(copy.root, 'src/sum/sum.mjs'), 'utf8'), SOURCE)
  remove()
  assert(!existsSync(copy.root))
})

function killedBy(by: string): TrialOutcome {
  return { kind: 'killed', by, how: 'failed', test: 'named', ms: 1 }
}

test('a run fails by what survives, what cannot be loaded and what is new', () => {
  const outcomes = new Map<string, TrialOutcome>([
    ['same', killedBy('a: b')],
    ['other', killedBy('a: c')],
    ['new', killedBy('a: d')],
    ['lost', { kind: 'survived', testFiles: 1, ms: 1 }],
    ['bad', { kind: 'unloadable', detail: '' }],
  ])
  const { faults, notes } = compare(outcomes, { same: 'a: b', other: 'a: b', lost: 'a: b' })
  assert.deepEqual(
    faults.map((fault) => fault.split(':', 1)[0]),
    ['new', 'lost', 'bad'],
  )
  assert.equal(notes.length, 1)
  assert.match(notes[0] ?? '', /^other: /)
})

function runCommand(...args: string[]): ReturnType<typeof spawnSync> {
  return spawnSync(process.execPath, ['test/mutants/run.ts', ...args], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    encoding: 'utf8',
  })
}

test('a mutant is printed as a patch, and a name that is none is refused', () => {
  const shown = runCommand('--show', 'high-s-accepted')
  assert.equal(shown.status, 0)
  assert.match(String(shown.stdout), /^--- a\/src\/crypto\/signature-form\.ts$/m)
  assert.match(String(shown.stdout), /^-.*'signature-high-s'$/m)
  const refused = runCommand('--only', 'no-such-mutant')
  assert.equal(refused.status, 2)
  assert.match(String(refused.stderr), /no such mutant: no-such-mutant/)
})
