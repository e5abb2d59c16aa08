/** Commands against a host of ours, with what people rarely write into one. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join, sep } from 'node:path'
import { test } from 'node:test'

import { FakePlc } from '../../../test/support/fake-plc.ts'
import { PrivateKey } from '../../crypto/private-key.ts'
import { formatDidKey } from '../../crypto/public-key.ts'
import { TemporaryDirectory } from '../../ops/temporary-directory.ts'
import { startHost } from '../../server/start-host.ts'
import { EXIT } from '../io.ts'
import { runCommand } from '../testing/cli-world.ts'

const DID = 'did:plc:ewvi7nxzyoun6zhxrhs64oiz'
/** Record keys that the syntax allows and file systems do not, or take for one another. */
const RKEYS = ['a', 'A', '...', 'con', 'nul.x', 'a:b', '~', '-rf', '.x', 'x.', 'y'.repeat(512)]

/** Text that a terminal would obey. */
const HOSTILE = 'bell\u0007 \u001b[2J \u202eright to left'

test('record keys of every kind come out as files of their own, and nowhere else', async () => {
  await using host = await startHost()
  await using plc = await FakePlc.start()
  await using folder = await TemporaryDirectory.create('skein-cli-')
  const key = PrivateKey.generate('p256')
  await host.host.createAccount({ did: DID, key, handle: 'a.test' })
  for (const rkey of RKEYS) {
    const record = { $type: 'org.example.fooBar', rkey, text: HOSTILE }
    const written = await host.host.putRecord(DID, `org.example.fooBar/${rkey}`, { record })
    assert.ok(written.ok, rkey)
  }
  plc.set(DID, { key: key.publicKey, endpoint: host.url })
  const flags = ['--plc', plc.url, '--allow-private-network']
  const out = join(folder.path, 'out')
  const exported = await runCommand(['repo', 'export', DID, out, ...flags])
  assert.equal(exported.code, EXIT.ok, exported.err)
  assert.deepEqual(readdirSync(folder.path), ['out'])

  const files = readdirSync(join(out, 'records'), { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile(),
  )
  const found = files.map(({ parentPath, name }) => {
    assert.ok(name.length <= 143 && !/[:~]\.json$|[<>:"|?*\\]/.test(name), name)
    assert.ok(parentPath.startsWith(join(out, 'records') + sep))
    const text = readFileSync(join(parentPath, name), 'utf8')
    // oxlint-disable-next-line no-control-regex -- what must not be there
    assert.doesNotMatch(text, /[\u0007\u001b\u202e]/)
    const { uri, value } = JSON.parse(text) as {
      uri: string
      value: { rkey: string; text: string }
    }
    assert.equal(uri, `at://${DID}/org.example.fooBar/${value.rkey}`)
    assert.equal(value.text, HOSTILE)
    return value.rkey
  })
  assert.deepEqual(found.toSorted(), RKEYS.toSorted())
  const names = files.map(({ name }) => name.toLowerCase())
  assert.equal(new Set(names).size, RKEYS.length)

  const shown = await runCommand(['repo', 'cat', DID, 'org.example.fooBar/con', ...flags])
  assert.equal(shown.code, EXIT.ok, shown.err)
  // oxlint-disable-next-line no-control-regex -- what must not be there
  assert.doesNotMatch(shown.out, /[\u0007\u001b\u202e]/)
})

test('a repository without records, and one whose key has changed', async () => {
  await using host = await startHost()
  await using plc = await FakePlc.start()
  await using folder = await TemporaryDirectory.create('skein-cli-')
  const [key, other] = [PrivateKey.generate('k256'), PrivateKey.generate('k256')]
  await host.host.createAccount({ did: DID, key, handle: 'a.test' })
  plc.set(DID, { key: key.publicKey, endpoint: host.url })
  const flags = ['--plc', plc.url, '--allow-private-network']
  const car = join(folder.path, 'empty.car')
  assert.equal((await runCommand(['repo', 'get', DID, car, ...flags])).code, EXIT.ok)
  const verified = await runCommand(['repo', 'verify', car, '--json', ...flags])
  assert.equal((JSON.parse(verified.out) as { records: number }).records, 0)

  plc.set(DID, { key: other.publicKey, endpoint: host.url })
  const old = await runCommand(['repo', 'verify', car, ...flags])
  assert.equal(old.code, EXIT.unverified)
  assert.match(old.out, /signature-invalid[\s\S]*--key/)
  const named = ['--key', formatDidKey(key.publicKey)]
  assert.equal((await runCommand(['repo', 'verify', car, ...named, ...flags])).code, EXIT.ok)
})
