/** The pages of docs/endpoints say what a host does: parameters, errors and examples. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { mainSchema as getBlob } from '@atcute/atproto/types/sync/getBlob'
import { mainSchema as getBlocks } from '@atcute/atproto/types/sync/getBlocks'
import { mainSchema as getCheckout } from '@atcute/atproto/types/sync/getCheckout'
import { mainSchema as getHead } from '@atcute/atproto/types/sync/getHead'
import { mainSchema as getLatestCommit } from '@atcute/atproto/types/sync/getLatestCommit'
import { mainSchema as getRecord } from '@atcute/atproto/types/sync/getRecord'
import { mainSchema as getRepo } from '@atcute/atproto/types/sync/getRepo'
import { mainSchema as getRepoStatus } from '@atcute/atproto/types/sync/getRepoStatus'
import { mainSchema as listBlobs } from '@atcute/atproto/types/sync/listBlobs'
import { mainSchema as listRepos } from '@atcute/atproto/types/sync/listRepos'
import { mainSchema as subscribeRepos } from '@atcute/atproto/types/sync/subscribeRepos'
import type { BaseSchema } from '@atcute/lexicons/validations'

import { EXPORTS_PER_ADDRESS_MAX } from '../src/http/http-limits.ts'
import {
  errorOf,
  type HostServer,
  startHostServer,
  syncPath,
} from '../src/http/testing/host-server.ts'
import {
  askExample,
  exampleHost,
  type ExampleAccounts,
  readEndpointPage,
  renderAnswer,
  renderEvent,
} from './support/endpoint-pages.ts'
import { RelayClient } from './support/relay-client.ts'
import { filesBelow } from './support/repository.ts'
import { eventually } from './support/waiting.ts'

const PAGES = filesBelow('docs/endpoints')
  .map((path) => path.replace(/^docs\/endpoints\/|\.md$/g, ''))
  .filter((name) => name !== 'README')

/** The parameters that a lexicon declares, and whether each is required. */
const SHAPES = new Map(
  [
    getBlob,
    getBlocks,
    getCheckout,
    getHead,
    getLatestCommit,
    getRecord,
    getRepo,
    getRepoStatus,
    listBlobs,
    listRepos,
    subscribeRepos,
  ].map(({ nsid, params }): [string, Readonly<Record<string, BaseSchema>>] => [nsid, params.shape]),
)

test('every call of a host has a page, and the index names it', () => {
  const [answer, ...others] = PAGES.filter((name) => !/^[A-Za-z]+$/.test(name))
  assert.deepEqual([answer, ...others], [undefined])
  const calls = ['com.atproto.server.describeServer', '/xrpc/_health', ...SHAPES.keys()]
  assert.deepEqual(PAGES.map((name) => readEndpointPage(name).title).toSorted(), calls.toSorted())
})

for (const name of PAGES) {
  test(`${name}: parameters are those of the lexicon`, () => {
    const { title, parameters } = readEndpointPage(name)
    const declared = Object.entries(SHAPES.get(title) ?? {})
    const expected = declared.map(([parameter, { type }]) =>
      [parameter, type === 'optional' ? 'no' : 'yes', type === 'array'].join(' '),
    )
    const shown = parameters.map(([parameter = '', type = '', required = '']) =>
      [parameter, required, type.endsWith(', repeated')].join(' '),
    )
    assert.deepEqual(shown.toSorted(), expected.toSorted())
  })

  test(`${name}: the example is what a host answers`, async (t) => {
    const server = await startHostServer(t)
    exampleHost(server.host)
    const { examples } = readEndpointPage(name)
    assert(examples.length > 0)
    for (const { request, answer } of examples) {
      const actual =
        name === 'subscribeRepos'
          ? await askStream(server, request, answer.split('\n').length)
          : await renderAnswer(await askExample(server.address, request))
      assert.equal(withoutVersion(actual), withoutVersion(answer), request)
    }
  })
}

function withoutVersion(text: string): string {
  return text.replace(/"version": "[^"]+"/, '"version": …')
}

async function askStream(server: HostServer, request: string, count: number): Promise<string> {
  const cursor = Number(/\?cursor=(\d+) /.exec(request)?.[1])
  await using client = await RelayClient.connect(server.address, cursor)
  const frames = await client.take(count)
  return frames.map(renderEvent).join('\n')
}

/** Makes a call fail in each way that its page names. */
type Provoke = (server: HostServer, accounts: ExampleAccounts) => Promise<Response>

/** Answers that each call about one repository gives when that is not served. */
function inactive(path: (did: string) => string, notFound = 'RepoNotFound'): [string, Provoke][] {
  const withStatus =
    (status: 'deleted' | 'takendown' | 'suspended' | 'deactivated'): Provoke =>
    (server, { alice }) => {
      alice.status = status
      return server.get(path(alice.did))
    }
  return [
    [`400 ${notFound}`, withStatus('deleted')],
    ['400 RepoTakendown', withStatus('takendown')],
    ['400 RepoSuspended', withStatus('suspended')],
    ['400 RepoDeactivated', withStatus('deactivated')],
  ]
}

const CID = `bafkrei${'a'.repeat(52)}`

function exportErrors(name: string): [string, Provoke][] {
  return [
    ...inactive((did) => syncPath(name, { did })),
    [
      '429 RateLimitExceeded',
      async (server, { alice }) => {
        const path = syncPath(name, { did: alice.did })
        const gate = Promise.withResolvers<void>()
        server.host.beforePiece = () => gate.promise
        const reading = Array.from({ length: EXPORTS_PER_ADDRESS_MAX }, () => server.get(path))
        const full = (): true | null =>
          server.host.exportsOpen === EXPORTS_PER_ADDRESS_MAX ? true : null
        await eventually(full, 'as many exports as may be')
        const refused = await server.get(path)
        gate.resolve()
        for (const answer of await Promise.all(reading)) await answer.arrayBuffer()
        return refused
      },
    ],
    [
      '503 Busy',
      (server, { alice }) => {
        server.host.busy = true
        return server.get(syncPath(name, { did: alice.did }))
      },
    ],
  ]
}

/** Each page with errors of its own, and how to bring them about. Streams have their own test. */
const PROVOCATIONS: Readonly<Record<string, readonly [string, Provoke][]>> = {
  getRepo: exportErrors('getRepo'),
  getCheckout: exportErrors('getCheckout'),
  getRecord: inactive((did) =>
    syncPath('getRecord', { did, collection: 'org.example.note', rkey: 'first' }),
  ),
  getBlocks: [
    [
      '400 BlockNotFound',
      (server, { alice }) => server.get(syncPath('getBlocks', { did: alice.did, cids: CID })),
    ],
    ...inactive((did) => syncPath('getBlocks', { did, cids: CID })),
  ],
  getBlob: [
    [
      '400 BlobNotFound',
      (server, { alice }) => server.get(syncPath('getBlob', { did: alice.did, cid: CID })),
    ],
    [
      '416 RangeNotSatisfiable',
      (server, { alice }) => {
        const [cid = ''] = alice.blobs.keys()
        const headers = { range: 'bytes=19-' }
        return server.get(syncPath('getBlob', { did: alice.did, cid }), { headers })
      },
    ],
    ...inactive((did) => syncPath('getBlob', { did, cid: CID })),
  ],
  getLatestCommit: inactive((did) => syncPath('getLatestCommit', { did })),
  getHead: inactive((did) => syncPath('getHead', { did }), 'HeadNotFound'),
  getRepoStatus: [
    [
      '400 RepoNotFound',
      (server) => server.get(syncPath('getRepoStatus', { did: 'did:web:nobody.example.com' })),
    ],
  ],
  listBlobs: inactive((did) => syncPath('listBlobs', { did })),
  listRepos: [],
  describeServer: [],
  health: [
    [
      '503 Unhealthy',
      (server) => {
        server.host.healthy = false
        return server.get('/xrpc/_health')
      },
    ],
  ],
}

describe('errors', () => {
  for (const name of PAGES.filter((page) => page !== 'subscribeRepos')) {
    test(`${name}: each that the page names is answered`, async (t) => {
      const provocations = PROVOCATIONS[name] ?? []
      assert.deepEqual(
        provocations.map(([error]) => error),
        readEndpointPage(name).errors,
      )
      for (const [expected, provoke] of provocations) {
        const server = await startHostServer(t)
        const answer = await provoke(server, exampleHost(server.host))
        const body = (await answer.json()) as Readonly<Record<string, unknown>>
        assert.equal(`${answer.status} ${String(body['error'])}`, expected)
        assert.equal(typeof body['message'], 'string')
      }
    })
  }

  test('subscribeRepos: each that the page names is answered', async (t) => {
    const server = await startHostServer(t)
    exampleHost(server.host)
    const answers: string[] = []
    for (const cursor of [999, 1.5]) {
      await using client = await RelayClient.connect(server.address, cursor)
      const frame = await client.next()
      const { code } = await client.untilClosed()
      assert.deepEqual([frame.type, code], ['error', 1008])
      answers.push(`frame ${String(frame.body['error'])}`)
    }
    const [status, error] = await errorOf(await server.get(syncPath('subscribeRepos')))
    answers.push(`${status} ${String(error)}`)
    assert.deepEqual(answers, readEndpointPage('subscribeRepos').errors)
  })
})
