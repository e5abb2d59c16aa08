import assert from 'node:assert/strict'
import { test } from 'node:test'

import { requestError, type SafeResponse } from '../../identity/http-client.ts'
import { utf8 } from '../../lib/bytes.ts'
import { type HandleOutcome, HandleResolver } from './handle-resolver.ts'

const DID = 'did:plc:ewvi7nxzyoun6zhxrhs64oiz'
const OTHER = 'did:web:pds.example.com'

type Web = { readonly status: number; readonly body: string } | Error

function resolve(txt: readonly (readonly string[])[] | Error, web: Web): Promise<HandleOutcome> {
  const resolver = new HandleResolver({
    lookUpTxt: async (name) => {
      assert.equal(name, '_atproto.alice.example.com')
      if (txt instanceof Error) throw txt
      return txt
    },
    http: {
      fetch: async (url): Promise<SafeResponse> => {
        assert.equal(String(url), 'https://alice.example.com/.well-known/atproto-did')
        if (web instanceof Error) throw web
        const { status, body } = web
        return { url: String(url), status, headers: new Map(), bytes: utf8(body) }
      },
    },
    timeoutMs: 1_000,
    signal: new AbortController().signal,
  })
  return resolver.resolve('Alice.example.com')
}

const noRecord = Object.assign(new Error('queryTxt ENOTFOUND'), { code: 'ENOTFOUND' })
const timedOut = Object.assign(new Error('queryTxt ETIMEOUT'), { code: 'ETIMEOUT' })
const notFound: Web = { status: 404, body: '' }

test('DNS comes first, its strings are joined, and the web is not asked', async () => {
  const outcome = await resolve(
    [['v=spf1'], ['did=did:plc:', DID.slice(8)]],
    new Error('not asked'),
  )
  assert.deepEqual([outcome.did, outcome.via, outcome.https], [DID, 'dns', null])
})

test('the file is read when DNS names nobody', async () => {
  const outcome = await resolve(noRecord, { status: 200, body: ` ${OTHER}\n` })
  assert.deepEqual([outcome.did, outcome.via, outcome.isFinal], [OTHER, 'https', true])
})

test('records that contradict one another name nobody', async () => {
  const outcome = await resolve([[`did=${DID}`], [`did=${OTHER}`]], notFound)
  assert.deepEqual([outcome.did, outcome.isFinal, outcome.dns.kind], [null, true, 'none'])
})

test('no answer is not the answer that there is none', async () => {
  assert.equal((await resolve(timedOut, notFound)).isFinal, false)
  assert.equal((await resolve(noRecord, { status: 503, body: '' })).isFinal, false)
  const refused = requestError('network', 'request: failed: ECONNREFUSED', {})
  assert.equal((await resolve(noRecord, refused)).isFinal, false)
  const nowhere = requestError('network', 'request: failed: ENOTFOUND', {})
  assert.equal((await resolve(noRecord, nowhere)).isFinal, true)
})

test('what is no DID of atproto is none', async () => {
  for (const body of ['', '<html>', 'did:key:zabc', `${DID} ${OTHER}`]) {
    const outcome = await resolve([['did=did:plc:short']], { status: 200, body })
    assert.deepEqual([outcome.did, outcome.isFinal], [null, true], body)
  }
})
