/** What the README shows works as it stands there. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { describeCommit } from '../examples/describe-commit.ts'
import { formatDidKey } from '../src/crypto/public-key.ts'
import { encodeMessageFrame } from '../src/stream/own-frames.ts'
import { readText } from './support/repository.ts'
import { SignedRepo } from './support/signed-repo.ts'
import { within } from './support/waiting.ts'
import { startWorld } from './support/world.ts'

const README = readText('README.md')

test('the example in the README is the one that is tested', () => {
  const shown = /<!-- examples\/describe-commit\.ts -->\s*```ts\n([\s\S]*?)```/.exec(README)?.[1]
  const source = readText('examples/describe-commit.ts')
  assert.equal(shown, source.replaceAll(/'\.\.\/src\/([a-z-]+)\/index\.ts'/g, "'skein/$1'"))
})

test('what the README shows of an example that runs by itself stands there', () => {
  const parts = /<!-- from (examples\/[\w.-]+) -->\s*```ts\n([\s\S]*?)```/.exec(README)
  const [, path = '', shown = ''] = parts ?? []
  assert(path.endsWith('.test.ts') && shown.includes('startRelay('))
  assert(readText(path).includes(shown))
  assert(readText('package.json').includes("'examples/**/*.test.ts'"), 'npm test runs it')
})

test('the example tells a good commit from a changed one', () => {
  const repo = new SignedRepo({ seed: 'readme' })
  repo.apply([])
  const body = repo.apply([{ action: 'create', path: 'org.example.note/a', record: { n: 1 } }])
  const message = encodeMessageFrame('#commit', { ...body, seq: 1 })
  const key = formatDidKey(repo.key.publicKey)
  const shown = `${repo.did} at ${body.rev} changed org.example.note/a`
  assert.equal(describeCommit(message, key), shown)

  const stranger = formatDidKey(new SignedRepo({ seed: 'somebody else' }).key.publicKey)
  assert.equal(describeCommit(message, stranger), 'refused: signature-invalid')
  const changed = Uint8Array.from(message)
  changed[changed.lastIndexOf(0xa1)] = 0xa0
  assert.match(describeCommit(changed, key), /^refused: /)
  assert.equal(describeCommit(message.subarray(1), key), 'refused: frame-malformed')
})

test('the example that watches prints each event', async () => {
  await using world = await startWorld()
  const script = fileURLToPath(new URL('../examples/watch.ts', import.meta.url))
  const child = spawn(process.execPath, [script, `ws://${world.relay.address}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const next = async (): Promise<unknown> => (await within(lines.next(), 'a line')).value
    assert.equal(await next(), `connected to ws://${world.relay.address}`)
    const repo = world.account('watched')
    world.host.send('#commit', repo.apply([]))
    assert.equal(await next(), `1 #commit ${repo.did}`)
  } finally {
    child.kill()
  }
})

test('every npm script that the documents name exists', () => {
  const { scripts } = JSON.parse(readText('package.json')) as {
    readonly scripts: Readonly<Record<string, string>>
  }
  const named = ['README.md', 'AGENTS.md', 'docs/gotchas.md', '.ci/run'].flatMap((path) =>
    [...readText(path).matchAll(/\bnpm run ([a-z:-]+)/g)].map(([, name = '']) => name),
  )
  assert(named.includes('vectors'))
  assert.deepEqual(
    named.filter((name) => !(name in scripts)),
    [],
  )
  assert(README.includes('npm ci && npm run demo') && /^npm start$/m.test(README))
  assert(/^npm test\b/m.test(README))
  assert.match(readText('.ci/run'), /^step \d+ npm test$/m)
})
