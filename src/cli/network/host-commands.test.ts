/** Listings of services that make statuses up. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { sendJson, startLoopbackServer } from '../../identity/testing/loopback-server.ts'
import { EXIT } from '../io.ts'
import { runCommand } from '../testing/cli-world.ts'

const HEAD = 'bafyreihyrpefhacm6kkp4ql6j6udakdit7g3dmkzfriqfykhjw6cad5lrm'

/** A page of accounts with these statuses. */
function reposOf(statuses: readonly string[]): object {
  const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
  const rest = { did, head: HEAD, rev: '3l2222222222a', active: false }
  return { repos: statuses.map((status) => ({ ...rest, status })) }
}

test('host repos: a status that is a command to the terminal is shown, not obeyed', async () => {
  const page = reposOf(['\u001b[2Jgone\u202e\r'])
  await using server = await startLoopbackServer((_request, response) => sendJson(response, page))
  for (const flags of [[], ['--summary']]) {
    const { code, out } = await runCommand(['host', 'repos', server.origin, ...flags])
    assert.equal(code, EXIT.ok)
    assert.match(out, /\\x1b\[2Jgone\\u202e\\x0d/)
    // oxlint-disable-next-line no-control-regex -- these are what must not be there
    assert.doesNotMatch(out, /[\u0000-\u0009\u000b-\u001f\u202e]/)
  }
})

test('host repos --summary: statuses without end are counted together', async () => {
  const names = Array.from({ length: 900 }, (_, i) => `made-up-${i}-${'x'.repeat(500)}`)
  const page = reposOf(names)
  await using server = await startLoopbackServer((_request, response) => sendJson(response, page))
  const { out } = await runCommand(['host', 'repos', server.origin, '--summary', '--json'])
  const { read, byStatus } = JSON.parse(out) as { read: number; byStatus: Record<string, number> }
  assert.equal(read, 900)
  const counts = Object.values(byStatus)
  assert.equal(
    counts.reduce((sum, count) => sum + count, 0),
    900,
  )
  assert.equal(counts.length, 51)
  assert.equal(byStatus['other'], 850)
  assert(Object.keys(byStatus).every((name) => name.length <= 64))
})
