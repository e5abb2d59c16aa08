/** The pages of docs/client: every block of code is compiled, run, or held to what it names. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { format } from 'node:util'

import { CALL_FACTS } from '../scripts/lexicon-facts.ts'
import { Declarations } from '../scripts/declarations.ts'
import { captureIo } from '../src/cli/testing/captured-io.ts'
import { runCli } from '../src/cli/program.ts'
import { LEXICON_ERRORS } from '../src/client/calls/call-error.ts'
import { createIdentities } from '../src/client/calls/trust.ts'
import {
  type CodeBlock,
  codeBlocks,
  type PageWorld,
  startPageWorld,
} from './support/client-pages.ts'
import { addressOf, document } from './support/documented-client.ts'
import { filesBelow, readText, tableRows } from './support/repository.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const PAGES = filesBelow('docs/client').filter((path) => path.endsWith('.md'))
const BLOCKS: readonly CodeBlock[] = PAGES.flatMap((page) => codeBlocks(page))
const METHODS = CALL_FACTS.map(({ name }) => `docs/client/methods/${name}.md`)
/** Blocks of TypeScript that are not a copy of a file. */
const OWN = BLOCKS.filter(({ language, example }) => language === 'ts' && example === null)

function newFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'skein-docs-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

test('every call has a page, and the pages have blocks of known kinds', () => {
  const pages = PAGES.filter((path) => path.startsWith('docs/client/methods/'))
  assert.deepEqual(pages.toSorted(), METHODS.toSorted())
  const kinds = new Set(BLOCKS.map(({ language }) => language))
  assert.deepEqual([...kinds].toSorted(), ['', 'sh', 'ts'])
  for (const page of METHODS) {
    const own = BLOCKS.filter((block) => block.page === page)
    assert.deepEqual(
      own.map(({ language, output }) => `${language} ${output === null ? '-' : 'shown'}`),
      ['ts shown', 'sh -', 'sh -'],
      page,
    )
  }
  // Pictures of states; everything else without a language would escape the tests below.
  const plain = BLOCKS.filter(({ language }) => language === '')
  assert(plain.every(({ code }) => code.includes('──▶')))
})

test('errors that the lexicons declare are those that the client knows', () => {
  const declared = new Set(CALL_FACTS.flatMap(({ errors }) => errors))
  assert.deepEqual([...declared].toSorted(), Object.keys(LEXICON_ERRORS).toSorted())
})

test('blocks that are copies of examples are the same', () => {
  const copies = BLOCKS.filter(({ example }) => example !== null)
  assert.equal(copies.length, 6)
  for (const { example, code } of copies) {
    const source = readText(example ?? '')
    assert.equal(code, source.replaceAll(/'\.\.\/src\/([a-z-]+)\/index\.ts'/g, "'skein/$1'"))
  }
})

test('every block of TypeScript compiles', (t) => {
  const folder = newFolder(t)
  mkdirSync(folder, { recursive: true })
  for (const [i, { code }] of OWN.entries()) {
    // As a module of its own, whatever it imports.
    writeFileSync(join(folder, `block${i}.ts`), `${code}\nexport {}\n`)
  }
  const options = {
    paths: { 'skein/*': [join(ROOT, 'src/*/index.ts')] },
    typeRoots: [join(ROOT, 'node_modules/@types')],
    noEmit: true,
    isolatedDeclarations: false,
    declaration: false,
    noUnusedLocals: true,
  }
  const config = {
    extends: join(ROOT, 'tsconfig.json'),
    compilerOptions: options,
    include: ['*.ts'],
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
  const run = spawnSync(process.execPath, [compiler, '-p', folder], {
    cwd: folder,
    encoding: 'utf8',
  })
  assert.equal(run.error, undefined)
  // Errors of src are for `npm run types` to say; what is of no file is of the call above.
  const problems = run.stdout
    .split('\n')
    .filter((line) => /\berror TS/.test(line) && !/\/src\/[\w/.-]+\.ts\(/.test(line))
  const named = problems.map((line) =>
    line.replace(/^block(\d+)\.ts/, (_, i: string) => `${OWN[Number(i)]?.page ?? ''} block ${i}: `),
  )
  assert.deepEqual(named, [])
})

/** Runs a block as a module; what it prints. */
async function runBlock(
  t: TestContext,
  folder: string,
  name: string,
  code: string,
): Promise<string> {
  const shim = new URL('support/documented-client.ts', import.meta.url).href
  const source = code.replaceAll("'skein/client'", `'${shim}'`)
  const file = join(folder, `${name}.ts`)
  writeFileSync(file, source)
  const lines: string[] = []
  const log = t.mock.method(console, 'log', (...values: readonly unknown[]) => {
    lines.push(format(...values))
  })
  try {
    await import(pathToFileURL(file).href)
  } finally {
    log.mock.restore()
  }
  return lines.join('\n')
}

async function startDocumented(t: TestContext): Promise<PageWorld> {
  const world = await startPageWorld(t)
  const identities = createIdentities({
    plcDirectories: [world.plc.url],
    allowPrivateNetwork: true,
  })
  t.after(() => identities.close())
  document({ world, options: { identities, allowPrivateNetwork: true } })
  return world
}

test('blocks that show what they print print that', async (t) => {
  const world = await startDocumented(t)
  const folder = newFolder(t)
  const { port } = new URL(`http://${addressOf('pds.example.com')}`)
  for (const [i, { page, code, output }] of OWN.entries()) {
    if (output === null) continue
    // Relays call the host by the name that it has here.
    const inside = code.replaceAll("hostname: 'pds.example.com'", `hostname: 'localhost:${port}'`)
    const printed = await runBlock(t, folder, `block${i}`, inside)
    assert.equal(world.shown(printed), output, page)
  }
})

test('curl: each request is answered', async (t) => {
  const world = await startDocumented(t)
  const head = await fetchJson('getLatestCommit', { did: world.accounts.alice.did })
  const requests = BLOCKS.filter(
    ({ language, code }) => language === 'sh' && code.startsWith('curl'),
  )
  assert.equal(requests.length, METHODS.length)
  for (const { page, code } of requests) {
    const [, post, url = '', body] =
      /^curl( -X POST)? '([^']+)'(?: -H 'content-type: application\/json' -d '([^']+)')?\n$/.exec(
        code,
      ) ?? []
    const { host, pathname, search } = new URL(url)
    const query = search.replace('COMMIT', String(head['cid']))
    const answer = await fetch(`http://${addressOf(host)}${pathname}${localHost(query)}`, {
      method: post === undefined ? 'GET' : 'POST',
      redirect: 'manual',
      ...(body === undefined
        ? {}
        : { body: localHost(body), headers: { 'content-type': 'application/json' } }),
    })
    await answer.arrayBuffer()
    const expected = EXPECTED_STATUS[page.replace(/^.*\/|\.md$/g, '')] ?? 200
    assert.equal(answer.status, expected, `${page}: ${code}`)
  }
})

/** A stream wants a WebSocket. */
const EXPECTED_STATUS: Readonly<Record<string, number>> = { subscribeRepos: 426 }

function localHost(text: string): string {
  return text.replace(
    'pds.example.com',
    addressOf('pds.example.com').replace('127.0.0.1', 'localhost'),
  )
}

async function fetchJson(
  name: string,
  params: Readonly<Record<string, string>>,
): Promise<Readonly<Record<string, unknown>>> {
  const query = new URLSearchParams(params).toString()
  const address = addressOf('pds.example.com')
  const answer = await fetch(`http://${address}/xrpc/com.atproto.sync.${name}?${query}`)
  return (await answer.json()) as Readonly<Record<string, unknown>>
}

test('skein call: each line is a call with the parameters of its lexicon', () => {
  const lines = BLOCKS.filter(({ language, code }) => language === 'sh' && code.startsWith('skein'))
  assert.equal(lines.length, METHODS.length)
  for (const { page, code } of lines) {
    const [, name = '', rest = ''] =
      /^skein call (\w+)(.*) --service \S+\.example\.com/.exec(code) ?? []
    assert.equal(page, `docs/client/methods/${name}.md`)
    const { params = [] } = CALL_FACTS.find((facts) => facts.name === name) ?? {}
    const given = [...rest.matchAll(/ (\w+)=/g)].map(([, key]) => key)
    const known = new Set(params.map((param) => param.name))
    const needed = params.filter(({ isRequired }) => isRequired).map((param) => param.name)
    assert.deepEqual(
      given.filter((key) => !known.has(key ?? '')),
      [],
      code,
    )
    assert.deepEqual(
      needed.filter((key) => !given.includes(key)),
      [],
      code,
    )
  }
})

const noRelay = { loadRelay: () => Promise.reject(new Error('nothing here starts a relay')) }

test('skein call: each line ends well, and says something', async (t) => {
  const { accounts } = await startDocumented(t)
  const head = await fetchJson('getLatestCommit', { did: accounts.alice.did })
  const folder = newFolder(t)
  for (const { page, code } of BLOCKS) {
    if (!code.startsWith('skein call ')) continue
    const words = code.trim().split(' ').slice(1)
    const args = words.map((word, i) => {
      if (words[i - 1] === '--service') return addressOf(word)
      if (words[i - 1] === '--out') return join(folder, word)
      return localHost(word.replace('COMMIT', String(head['cid'])))
    })
    const captured = captureIo()
    assert.equal(await runCli(args, captured.io, noRelay), 0, `${page}: ${captured.err()}`)
    const isProcedure = /requestCrawl|notifyOfUpdate/.test(page)
    const isFile = words.includes('--out')
    assert(isProcedure || isFile || captured.out() !== '', page)
  }
})

test('what other clients have has a counterpart that is exported', () => {
  using declarations = new Declarations()
  const entries = ['client', 'repo', 'store'].flatMap((entry) => declarations.exportsOf(entry))
  const exported = new Map(entries.map(({ declaration }) => [declaration.name, declaration]))
  const text = readText('docs/client/coming-from-chitose.md')
  const rows = ['chitose', '@atproto/sync', 'atproto.dart'].flatMap((client) =>
    tableRows(text, client, 'Skein'),
  )
  assert(rows.length > 40)
  for (const [theirs = '', ours = ''] of rows) {
    for (const name of ours.replaceAll('`', '').split(', ')) {
      const [type = '', member] = name.split('.')
      const declaration = exported.get(type)
      assert(declaration !== undefined, `${theirs}: ${name}`)
      if (member !== undefined) assert.match(declaration.signature, new RegExp(`\\b${member}\\(`))
    }
  }
  const methods = [...text.matchAll(/^\| `sync\.(\w+)\(/gm)].map(([, name = '']) => name)
  assert.deepEqual(methods.toSorted(), CHITOSE_METHODS.toSorted())
})

/** The methods of `chitose.com.atproto.sync`. */
const CHITOSE_METHODS = [
  'get_blob',
  'get_blocks',
  'get_checkout',
  'get_head',
  'get_latest_commit',
  'get_record',
  'get_repo',
  'get_repo_status',
  'list_blobs',
  'list_repos',
  'notify_of_update',
  'request_crawl',
  'subscribe_repos',
]
