/**
 * The pages of docs/client as their test needs them: blocks of code, with the answers beside them,
 * and a small network on loopback that stands for the services that they name.
 */
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'

import { type HostServer, startHostServer } from '../../src/http/testing/host-server.ts'
import { cidToString } from '../../src/data/cid.ts'
import { must } from '../../src/lib/assert.ts'
import { type ExampleAccounts, exampleHost } from './endpoint-pages.ts'
import { FakePlc } from './fake-plc.ts'
import { readText } from './repository.ts'
import { TestRelay } from './test-relay.ts'
import { eventually } from './waiting.ts'

/** A block of code, and the block of text right after it: what it prints. */
export interface CodeBlock {
  readonly page: string
  readonly language: string
  readonly code: string
  /** Null when the page shows none. */
  readonly output: string | null
  /** Path of the example that it is a copy of; null when it stands for itself. */
  readonly example: string | null
}

const BLOCK = /(?:<!-- (examples\/[\w.-]+) -->\n\n)?^```(\w*)\n([\s\S]*?)^```$/gm

/** Every block of a page, but the texts that show what another prints. */
export function codeBlocks(page: string): CodeBlock[] {
  const found = [...readText(page).matchAll(BLOCK)].map(
    ([, example = null, language = '', code = '']) => ({ page, language, code, example }),
  )
  return found.flatMap((block, i) => {
    if (block.language === 'text') return []
    const next = found[i + 1]
    return [{ ...block, output: next?.language === 'text' ? next.code.trimEnd() : null }]
  })
}

/** The services of the pages. */
export interface PageWorld {
  readonly accounts: ExampleAccounts
  readonly plc: FakePlc
  /** Addresses by the names that the pages use. */
  readonly services: ReadonlyMap<string, string>
  /** Names in place of addresses, and words in place of what differs from page to page. */
  readonly shown: (text: string) => string
}

/** Starts a host, a directory, a relay that reads the host, and an index. */
export async function startPageWorld(t: TestContext): Promise<PageWorld> {
  const server: HostServer = await startHostServer(t)
  const accounts = exampleHost(server.host)
  const plc = await FakePlc.start()
  t.after(() => plc[Symbol.asyncDispose]())
  const host = server.address.replace('127.0.0.1', 'localhost')
  for (const { did, repo } of server.host.accounts) {
    plc.set(did, { key: repo.key.publicKey, endpoint: `http://${host}` })
  }
  const relay = await TestRelay.start({ plc: [plc.url], hosts: [`http://${host}`] })
  t.after(() => relay.stop())
  await eventually(async () => {
    const { body } = await relay.call('com.atproto.sync.getHostStatus', { hostname: host })
    return (body as { readonly status?: unknown }).status === 'active' ? true : null
  }, 'the relay reads the host')
  const index = await startIndex(t, accounts.alice.did)
  const { alice, bob } = accounts
  const head = must(alice.repo.head, 'head')
  const words: readonly (readonly [string, string])[] = [
    [host, 'pds.example.com'],
    [cidToString(head.commit), 'HEAD'],
    [head.rev, 'REV'],
    [bob.did, 'BOB'],
    [must(bob.repo.head, 'head').rev, 'BOBREV'],
    ...[...alice.blobs.keys()].map((cid) => [cid, 'BLOBCID'] as const),
  ]
  return {
    accounts,
    plc,
    services: new Map([
      ['pds.example.com', server.address],
      ['relay.example.com', relay.address],
      ['index.example.com', index],
    ]),
    shown: (text) => words.reduce((shown, [from, to]) => shown.replaceAll(from, to), text),
  }
}

/** A service that keeps an index of collections. */
async function startIndex(t: TestContext, did: string): Promise<string> {
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ repos: [{ did }] }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}
