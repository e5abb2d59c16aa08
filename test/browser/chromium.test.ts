/**
 * The bundle in a real browser, against a host and a relay on loopback. Uses the Chromium that is
 * installed, and is skipped where there is none.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'

import { chromium, type Page } from 'playwright-core'

import type { Curve } from '../../src/crypto/curve.ts'
import { PrivateKey } from '../../src/crypto/private-key.ts'
import { must } from '../../src/lib/assert.ts'
import { type RunningHost, startHost } from '../../src/server/start-host.ts'
import { FakePlc } from '../support/fake-plc.ts'
import { TestRelay } from '../support/test-relay.ts'
import { bundle } from './bundle.ts'
import type { Services } from './page.ts'

type PageModule = typeof import('./page.ts')

/** Where distributions put it. */
const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const EXECUTABLE = PLACES.find((path) => existsSync(path))

const ENTRIES = {
  client: 'src/client/index.ts',
  page: 'test/browser/page.ts',
  worker: 'test/browser/worker.ts',
}
const PAGE = '<!doctype html><meta charset="utf-8"><title>skein</title>'
const PATH = 'org.example.note/one'

const ACCOUNTS = {
  k256: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa',
  p256: 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb',
} as const satisfies Record<Curve, string>
/** Its DID document names another key than the one that signs. */
const IMPOSTOR = 'did:plc:cccccccccccccccccccccccc'

/** A host with an account of each curve and one whose key does not hold. */
async function startAccounts(host: RunningHost, plc: FakePlc): Promise<void> {
  const endpoint = `http://localhost:${new URL(host.url).port}`
  const dids: readonly (readonly [Curve, string])[] = [
    ...(Object.entries(ACCOUNTS) as [Curve, string][]),
    ['k256', IMPOSTOR],
  ]
  for (const [curve, did] of dids) {
    const key = PrivateKey.generate(curve)
    const published = did === IMPOSTOR ? PrivateKey.generate(curve) : key
    plc.set(did, { key: published.publicKey, endpoint })
    await host.host.createAccount({ did, key })
    for (const name of ['one', 'two', 'three']) {
      await host.host.putRecord(did, `org.example.note/${name}`, { record: { text: `${name} 😀` } })
    }
  }
}

/** Serves the bundle and an empty page. Gives the page's address. */
async function servePage(
  files: ReadonlyMap<string, string>,
  closing: AsyncDisposableStack,
): Promise<string> {
  const server = createServer((request, response) => {
    const text = files.get((request.url ?? '').slice(1))
    const type = text === undefined ? 'text/html' : 'text/javascript'
    response.writeHead(200, { 'content-type': type }).end(text ?? PAGE)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.defer(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://localhost:${(server.address() as AddressInfo).port}/`
}

interface World {
  readonly page: Page
  readonly url: string
  readonly atHost: Services
  readonly atRelay: Services
}

/** Directory, host, relay, and a browser with a page that is still empty. */
async function openWorld(closing: AsyncDisposableStack): Promise<World> {
  const plc = closing.use(await FakePlc.start())
  const host = closing.use(await startHost())
  const relay = closing.use(await TestRelay.start({ plc: [plc.url] }))
  await startAccounts(host, plc)
  const { status } = await relay.requestCrawl(`localhost:${new URL(host.url).port}`)
  assert.equal(status, 200)
  const url = await servePage((await bundle(ENTRIES)).files, closing)
  const browser = await chromium.launch({ executablePath: must(EXECUTABLE, 'Chromium') })
  closing.defer(() => browser.close())
  return {
    page: await browser.newPage(),
    url,
    atHost: { service: host.url, plc: plc.url },
    atRelay: { service: `http://${relay.address}`, plc: plc.url },
  }
}

/** Calls a function of page.ts in the page. */
async function inPage<Name extends keyof PageModule>(
  page: Page,
  name: Name,
  ...args: Parameters<PageModule[Name]>
): Promise<Awaited<ReturnType<PageModule[Name]>>> {
  const answer: unknown = await page.evaluate(
    async ({ entry, called, passed }) => {
      const module = (await import(entry)) as Record<string, (...args: unknown[]) => unknown>
      return module[called]?.(...passed)
    },
    { entry: '/page.js', called: name, passed: args },
  )
  return answer as Awaited<ReturnType<PageModule[Name]>>
}

const SKIP = { skip: EXECUTABLE === undefined ? 'no Chromium is installed' : false }

test('a browser verifies records and repositories and reads the stream', SKIP, async (t) => {
  await using closing = new AsyncDisposableStack()
  const { page, url, atHost, atRelay } = await openWorld(closing)
  const faults: string[] = []
  page.on('pageerror', (error) => faults.push(error.message))
  await page.goto(url)

  await t.test('the entry point loads', async () => {
    const names = await page.evaluate(
      async (entry) => Object.keys(Object(await import(entry))),
      '/client.js',
    )
    for (const name of ['SyncClient', 'decodeEvent', 'toJSON', 'RecordSchemas']) {
      assert.ok(names.includes(name), name)
    }
  })

  await t.test('records with proof, P-256 through WebCrypto and k256 without', async () => {
    for (const services of [atHost, atRelay]) {
      const k256 = await inPage(page, 'provenText', services, ACCOUNTS.k256, PATH)
      const p256 = await inPage(page, 'provenText', services, ACCOUNTS.p256, PATH)
      assert.deepEqual(k256, { text: 'one 😀', webCryptoCalls: 0 })
      assert.equal(p256.text, 'one 😀')
      assert.ok(p256.webCryptoCalls > 0)
    }
  })

  await t.test('a proof signed with another key, and a record that is not there', async () => {
    assert.equal(await inPage(page, 'proofError', atHost, IMPOSTOR, PATH), 'Unverified')
    const absent = await inPage(page, 'provenText', atHost, ACCOUNTS.k256, 'org.example.note/none')
    assert.equal(absent.text, null)
    const gone = 'did:plc:dddddddddddddddddddddddd'
    assert.equal(await inPage(page, 'proofError', atHost, gone, PATH), 'RepoNotFound')
  })

  await t.test('a whole repository, also where the relay sends on to the host', async () => {
    const expected = ['one', 'three', 'two'].map((name) => `org.example.note/${name}`)
    for (const services of [atHost, atRelay]) {
      for (const did of Object.values(ACCOUNTS)) {
        assert.deepEqual(await inPage(page, 'repoPaths', services, did), expected)
      }
    }
  })

  await t.test('the stream of the host and of the relay, each commit verified', async () => {
    for (const services of [atHost, atRelay]) {
      const dids = Object.values(ACCOUNTS)
      const events = await inPage(page, 'eventsUntil', services, dids, 'org.example.note/three')
      assert.ok(events.every(({ survivesJson }) => survivesJson))
      const commits = events.filter(({ type, did }) => type === '#commit' && did !== IMPOSTOR)
      for (const { verdict, did } of commits) assert.equal(verdict, 'ok', did ?? '')
      for (const did of dids) {
        const paths = commits
          .filter((commit) => commit.did === did)
          .flatMap((commit) => commit.paths)
        assert.deepEqual(
          paths,
          ['one', 'two', 'three'].map((name) => `org.example.note/${name}`),
        )
      }
    }
  })

  await t.test('a worker does the same', async () => {
    const report = await inPage(page, 'askWorker', '/worker.js', atHost, ACCOUNTS.p256, PATH)
    assert.deepEqual(report, [false, 'one 😀', 'ok'])
  })

  assert.deepEqual(faults, [])
})
