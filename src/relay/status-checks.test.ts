import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HttpClient } from '../identity/http-client.ts'
import { createFakeClock } from '../identity/testing/fake-clock.ts'
import { utf8 } from '../lib/bytes.ts'
import { StatusChecks } from './status-checks.ts'

test('I9: an account is asked about once a minute, and each for itself', async () => {
  const asked: string[] = []
  const http: HttpClient = {
    fetch(url) {
      const did = new URL(url).searchParams.get('did') ?? ''
      asked.push(did)
      const bytes = utf8(JSON.stringify({ did, active: true }))
      return Promise.resolve({ url: '', status: 200, headers: new Map(), bytes })
    },
  }
  const clock = createFakeClock()
  const checks = new StatusChecks(http, clock)
  const ask = (did: string) => checks.ask('https://a.example.com', did)
  assert.equal((await ask('did:plc:a'))?.active, true)
  assert.equal(await ask('did:plc:a'), null)
  assert.equal((await ask('did:plc:b'))?.active, true)
  clock.advance(59_999)
  assert.equal(await ask('did:plc:a'), null)
  clock.advance(1)
  assert.equal((await ask('did:plc:a'))?.active, true)
  assert.deepEqual(asked, ['did:plc:a', 'did:plc:b', 'did:plc:a'])
})
