import assert from 'node:assert/strict'
import { describe, test } from 'node:test'

import { readText } from '../../../test/support/repository.ts'
import { PROBLEMS, type ProblemCode } from './doctor-problems.ts'
import { aHost, DOCTOR_CASES } from '../testing/doctor-cases.ts'
import { type Kit, startKit } from '../testing/doctor-kit.ts'

/** Brought about in doctor-connect.test.ts. */
const OF_TLS: readonly ProblemCode[] = [
  'connect-failed',
  'connect-timeout',
  'tls-expired',
  'tls-expires-soon',
  'tls-failed',
  'tls-untrusted',
  'tls-wrong-name',
]

describe('a chain that is whole', () => {
  for (const kind of ['host', 'did', 'handle'] as const) {
    test(`by ${kind}: every step passes`, async () => {
      await using kit = await startKit()
      const targets = {
        host: { kind, host: kit.host.hostname },
        did: { kind, did: kit.repo.did },
        handle: { kind, handle: 'alice.example.com' },
      }
      const walk = await kit.walk(targets[kind] as Parameters<Kit['walk']>[0])
      assert.deepEqual(walk.problems, [])
      assert.equal(walk.exitCode, 0)
      assert(walk.results.every(({ outcome }) => outcome === 'ok'))
      assert.equal(walk.results.length, kind === 'host' ? 12 : 16)
      assert.match(walk.outcome('first-commit').detail, new RegExp(kit.repo.did))
    })
  }

  test('frames that are sent live are enough', async () => {
    await using kit = await startKit()
    const { host, frames } = kit
    host.stream = (socket, cursor) => {
      if (cursor === null) for (const frame of frames) socket.send(frame)
    }
    const walk = await kit.walk(aHost(kit))
    assert.deepEqual(walk.problems, [])
    assert.match(walk.outcome('first-frame').detail, /^live: 2 events/)
  })
})

describe('a chain that is broken', () => {
  for (const [name, { finds, exitCode, breaks, target, changes, detail }] of Object.entries(
    DOCTOR_CASES,
  )) {
    test(`${name}: ${finds.join(', ')}`, async () => {
      await using kit = await startKit()
      await breaks(kit)
      const named = target?.(kit) ?? { kind: 'did', did: kit.repo.did }
      // A relay that is not in question must not add findings of its own.
      const isOfRelay = finds.some((code) => code.startsWith('relay-'))
      const relays = isOfRelay ? {} : { relays: [] }
      const walk = await kit.walk(named, { ...relays, ...changes })
      assert.deepEqual(walk.problems, finds)
      assert.equal(walk.exitCode, exitCode)
      for (const { problem, outcome, step } of walk.results) {
        if (problem === null) continue
        assert.equal(step, PROBLEMS[problem].step)
        assert.equal(outcome, PROBLEMS[problem].level)
      }
      const first = walk.results.find(({ problem }) => problem === finds[0])
      if (detail !== undefined) assert.match(first?.detail ?? '', detail)
    })
  }

  test('every finding that a test can bring about has one', () => {
    const shown = new Set([...Object.values(DOCTOR_CASES).flatMap(({ finds }) => finds), ...OF_TLS])
    const left = Object.keys(PROBLEMS).filter((code) => !shown.has(code as ProblemCode))
    assert.deepEqual(left, [])
  })
})

test('docs/doctor.md has every finding, with what to do', () => {
  const page = readText('docs/doctor.md').replaceAll(/\s+/g, ' ')
  for (const [code, { says, fix }] of Object.entries(PROBLEMS)) {
    assert(page.includes(`\`${code}\``), code)
    assert(page.includes(says), says)
    assert(page.includes(fix), fix)
  }
})
