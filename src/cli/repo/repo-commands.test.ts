import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { after, before, describe, test } from 'node:test'

import { must } from '../../lib/assert.ts'
import { EXIT } from '../io.ts'
import { CliWorld, runCommand } from '../testing/cli-world.ts'

let world: CliWorld
let did: string
/** A CAR of the account as it was before anything was written in these tests. */
let car: string

before(async () => {
  world = await CliWorld.start()
  did = world.did()
  car = world.path('first.car')
  const got = await world.run(['repo', 'get', did, car])
  assert.equal(got.code, EXIT.ok, got.err)
})
after(() => world[Symbol.asyncDispose]())

/** What is true, by the network's own books. */
const truth = (): Map<string, string> => world.network.simulation.world.records(did)
const lines = (text: string): unknown[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown)

/** What an export's index names, after each file has been looked at. */
const entries = (folder: string): Map<string, string> => {
  const index = lines(readFileSync(`${folder}/index.ndjson`, 'utf8')) as {
    path: string
    cid: string
    file: string
  }[]
  return new Map(
    index.map(({ path, cid, file }) => {
      const record = JSON.parse(readFileSync(`${folder}/${file}`, 'utf8')) as Record<
        string,
        unknown
      >
      assert.equal(record['uri'], `at://${did}/${path}`)
      assert.equal(record['cid'], cid)
      return [path, cid] as const
    }),
  )
}
const files = (folder: string): number =>
  readdirSync(`${folder}/records`, { recursive: true, withFileTypes: true }).filter((it) =>
    it.isFile(),
  ).length

/** The CAR with one byte turned. */
function damaged(at: number): string {
  const bytes = readFileSync(car)
  bytes[at] = must(bytes[at], 'byte') ^ 0xff
  const path = world.path(`damaged-${at}.car`)
  writeFileSync(path, bytes)
  return path
}

describe('reading', () => {
  test('get leaves the whole file and nothing else, and says what it is', async () => {
    assert.ok(statSync(car).size > 1_000)
    assert.equal(existsSync(`${car}.part`), false)
    const { code, out } = await world.run(['repo', 'get', did, world.path('j.car'), '--json'])
    assert.equal(code, EXIT.ok)
    const facts = JSON.parse(out) as Record<string, unknown>
    assert.equal(facts['did'], did)
    assert.equal(facts['records'], truth().size)
    assert.equal(facts['commit'], world.network.simulation.world.account(did)?.head?.commit)
  })

  test('get to standard output gives the same bytes', async () => {
    const { code, captured, err } = await world.run(['repo', 'get', did, '-'])
    assert.equal(code, EXIT.ok)
    assert.deepEqual(captured.outBytes(), new Uint8Array(readFileSync(car)))
    assert.match(err, /verified/)
  })

  test('get --since takes what changed, and refuses what is no rev', async () => {
    const { code, out } = await world.run([
      'repo',
      'get',
      did,
      world.path('since.car'),
      '--since',
      '2222222222222',
    ])
    assert.equal(code, EXIT.ok)
    assert.match(out, /signature verified/)
    assert.equal((await world.run(['repo', 'get', did, '--since', 'monday'])).code, EXIT.usage)
  })

  test('ls lists every record, by its host and from the file', async () => {
    const listed = await world.run(['repo', 'ls', did, 'app.bsky.*', '--json'])
    const offline = await world.run(['repo', 'ls', car, 'app.bsky.*', '--json'])
    assert.equal(listed.code, EXIT.ok)
    assert.equal(listed.out, offline.out)
    const found = (lines(listed.out) as { path: string; cid: string }[]).map(
      ({ path, cid }) => [path, cid] as const,
    )
    assert.deepEqual(new Map(found), truth())
  })

  test('ls counts collections', async () => {
    const { out } = await world.run(['repo', 'ls', did, '--json'])
    const { collections, records } = JSON.parse(out) as {
      records: number
      collections: { collection: string; records: number }[]
    }
    assert.equal(records, truth().size)
    for (const { collection, records: count } of collections) {
      const own = [...truth().keys()].filter((path) => path.startsWith(`${collection}/`))
      assert.equal(count, own.length, collection)
    }
    const table = await world.run(['repo', 'ls', car])
    assert.match(table.out, /records\s+size\s+collection[\s\S]*app\.bsky\.feed\.post/)
  })

  test('ls of what is not there is 3, of what is no collection 2', async () => {
    assert.equal((await world.run(['repo', 'ls', car, 'org.example.none'])).code, EXIT.absent)
    assert.equal((await world.run(['repo', 'ls', car, 'none'])).code, EXIT.usage)
  })

  test('cat gives the same record by its host, by AT URI and from the file', async () => {
    const [path, cid] = must([...truth()][0], 'record')
    const runs = [
      await world.run(['repo', 'cat', did, path, '--json']),
      await world.run(['repo', 'cat', `at://${did}/${path}`, '--json']),
      await world.run(['repo', 'cat', car, path, '--json']),
    ]
    const shown = runs.map(({ out }) => JSON.parse(out) as { cid: string; value: unknown })
    for (const record of shown) assert.equal(record.cid, cid)
    assert.deepEqual(shown[0]?.value, shown[2]?.value)
    const absent = 'app.bsky.feed.post/nobody'
    assert.equal((await world.run(['repo', 'cat', did, absent])).code, EXIT.absent)
    assert.equal((await world.run(['repo', 'cat', car, absent])).code, EXIT.absent)
    assert.equal((await world.run(['repo', 'cat', car])).code, EXIT.usage)
  })

  test('an account is found by its handle, when its document claims it', async () => {
    const { handle } = must(world.network.simulation.world.account(did), 'account')
    const txt = { [`_atproto.${handle}`]: did, '_atproto.thief.example.com': did }
    const good = await world.run(['repo', 'verify', handle, '--json'], { txt })
    assert.equal(good.code, EXIT.ok, good.err)
    const stolen = await world.run(['repo', 'verify', 'thief.example.com'], { txt })
    assert.equal(stolen.code, EXIT.absent)
    assert.match(stolen.err, /whose document claims/)
  })
})

describe('judging', () => {
  test('verify is content with what is whole', async () => {
    for (const target of [did, car]) {
      const { code, out } = await world.run(['repo', 'verify', target])
      assert.equal(code, EXIT.ok)
      assert.match(out, /ok +signature/)
      assert.match(out, /\nverified\n$/)
    }
  })

  test('verify offline takes the key, and no directory is asked', async () => {
    const { out } = await world.run(['repo', 'inspect', did, '--json'])
    const { key } = (JSON.parse(out) as { signature: { key: string } }).signature
    const nowhere = ['--plc', 'http://127.0.0.1:1', '--json']
    const good = await runCommand(['repo', 'verify', car, '--key', key, ...nowhere])
    assert.equal(good.code, EXIT.ok, good.err)
    const service = ['--service', world.network.hosts[0]?.endpoint ?? '']
    const live = await runCommand(['repo', 'verify', did, '--key', key, ...service, ...nowhere])
    assert.equal(live.code, EXIT.ok, live.err)
    const blind = await runCommand(['repo', 'verify', car, ...nowhere])
    assert.equal(blind.code, EXIT.failure)
    const skipped = await runCommand(['repo', 'verify', car, '--skip-signature', ...nowhere])
    assert.equal(skipped.code, EXIT.ok)
    assert.equal((await runCommand(['repo', 'verify', car, '--key', 'did:key:z'])).code, EXIT.usage)
  })

  test('verify names another key and another account', async () => {
    const other = 'did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme'
    const wrong = await world.run(['repo', 'verify', car, '--key', other, '--json'])
    assert.equal(wrong.code, EXIT.unverified)
    assert.deepEqual(Object.keys((JSON.parse(wrong.out) as { broken: object }).broken), [
      'signature-invalid',
    ])
    const stranger = await world.run(['repo', 'verify', car, '--did', world.did(1), '--json'])
    assert.equal(stranger.code, EXIT.unverified)
    assert.match(stranger.out, /commit-did-mismatch/)
  })

  test('a byte turned anywhere is found, and named', async () => {
    const { size } = statSync(car)
    for (let at = 0; at < size; at += Math.floor(size / 40)) {
      const { code, out } = await world.run(['repo', 'verify', damaged(at), '--json'])
      assert.equal(code, EXIT.unverified, `byte ${at}: ${out}`)
      const { findings } = JSON.parse(out) as { findings: { reason: string; where: string }[] }
      assert.ok(findings.length > 0 && findings.every(({ where }) => where !== ''), `byte ${at}`)
    }
  })

  test('one damaged block does not hide what is wrong elsewhere', async () => {
    const bytes = readFileSync(car)
    for (const share of [0.5, 0.9]) {
      const at = Math.floor(bytes.length * share)
      bytes[at] = must(bytes[at], 'byte') ^ 1
    }
    const path = world.path('twice.car')
    writeFileSync(path, bytes)
    const { out } = await world.run(['repo', 'verify', path, '--json'])
    const { broken } = JSON.parse(out) as { broken: Record<string, number> }
    assert.equal(broken['car-hash-mismatch'], 2)
    const text = await world.run(['repo', 'verify', path, '--findings-max', '1'])
    assert.match(text.out, /more; see --findings-max/)
  })

  test('a file that is cut anywhere does not verify', async () => {
    const bytes = readFileSync(car)
    for (let end = 0; end < bytes.length; end += Math.floor(bytes.length / 20)) {
      const path = world.path(`cut-${end}.car`)
      writeFileSync(path, bytes.subarray(0, end))
      const { code } = await world.run(['repo', 'verify', path])
      assert.equal(code, EXIT.unverified, `cut at ${end}`)
    }
    assert.equal((await world.run(['repo', 'verify', world.path('none.car')])).code, EXIT.failure)
  })

  test('inspect tells the shape of the tree, and a bad signature without giving up', async () => {
    const { out } = await world.run(['repo', 'inspect', car, '--json'])
    const found = JSON.parse(out) as {
      records: { count: number }
      tree: { levels: { entries: number }[] }
    }
    assert.equal(found.records.count, truth().size)
    const count = found.tree.levels.reduce((sum, level) => sum + level.entries, 0)
    assert.equal(count, truth().size)
    const other = 'did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme'
    const bad = await world.run(['repo', 'inspect', car, '--key', other])
    assert.equal(bad.code, EXIT.unverified)
    assert.match(bad.out, /signature-invalid/)
  })

  test('diff gives what leads from the one to the other', async () => {
    const changed = truth()
    await world.network.run({ events: 120, pace: 'free' })
    const { code, out } = await world.run(['repo', 'diff', car, did, '--json'])
    assert.equal(code, EXIT.ok)
    for (const line of lines(out) as { path: string; before: string; after: string | null }[]) {
      assert.equal(changed.get(line.path) ?? null, line.before)
      if (line.after === null) changed.delete(line.path)
      else changed.set(line.path, line.after)
    }
    assert.deepEqual(changed, truth())
    assert.ok(lines(out).length > 0)
    const same = await world.run(['repo', 'diff', car, car, '--json'])
    assert.deepEqual([same.code, same.out], [EXIT.ok, ''])
  })
})

describe('export', () => {
  test('a folder holds what is true, is brought up to date, and nothing is left over', async () => {
    const folder = world.path('export')
    const old = await world.run(['repo', 'export', car, folder])
    assert.equal(old.code, EXIT.ok, old.err)
    const held = entries(folder)
    const first = await world.run(['repo', 'export', did, folder, '--json'])
    assert.equal(first.code, EXIT.ok, first.err)
    const { changes, blobs } = JSON.parse(first.out) as {
      changes: { written: number; unchanged: number; removed: number }
      blobs: { listed: number; present: number }
    }
    assert.deepEqual(entries(folder), truth())
    assert.equal(files(folder), truth().size)
    const differing = [...truth()].filter(([path, cid]) => held.get(path) !== cid)
    const gone = [...held.keys()].filter((path) => !truth().has(path))
    assert.deepEqual(changes, {
      records: truth().size,
      written: differing.length,
      unchanged: truth().size - differing.length,
      removed: gone.length,
    })
    assert.equal(blobs.present, world.network.simulation.world.blobs(did).size)
    const again = await world.run(['repo', 'export', did, folder])
    assert.match(again.out, /nothing has changed/)
  })

  test('an export that was interrupted is mended by the next', async () => {
    const folder = world.path('mended')
    assert.equal((await world.run(['repo', 'export', did, folder, '--no-blobs'])).code, EXIT.ok)
    const [path, cid] = must([...entries(folder)][0], 'entry')
    const { file } = must(
      (
        lines(readFileSync(`${folder}/index.ndjson`, 'utf8')) as { path: string; file: string }[]
      )[0],
      'line',
    )
    // As if it had died while it wrote this record, and one that has gone since.
    const orphan = 'records/app.bsky.feed.post/orphan.json'
    const gone = { path: 'app.bsky.feed.post/orphan', cid: 'bafy', file: orphan }
    const journal = [{ path, cid: 'bafyother', file }, gone].map((it) => `${JSON.stringify(it)}\n`)
    writeFileSync(`${folder}/index.ndjson.part`, `${journal.join('')}{"path":"cu`)
    writeFileSync(`${folder}/${file}`, 'half')
    writeFileSync(`${folder}/${orphan}`, '{}')
    assert.equal((await world.run(['repo', 'export', did, folder, '--no-blobs'])).code, EXIT.ok)
    assert.equal(entries(folder).get(path), cid)
    assert.equal(existsSync(`${folder}/${orphan}`), false)
  })

  test('as lines, one file a collection', async () => {
    const folder = world.path('lines')
    const args = ['repo', 'export', did, folder, '--format', 'ndjson', '--no-blobs']
    assert.equal((await world.run(args)).code, EXIT.ok)
    const found = readdirSync(`${folder}/records`).flatMap((name) =>
      (
        lines(readFileSync(`${folder}/records/${name}`, 'utf8')) as { uri: string; cid: string }[]
      ).map(({ uri, cid }) => [uri.slice(`at://${did}/`.length), cid] as const),
    )
    assert.deepEqual(new Map(found), truth())
    // The folder is of this account and format, and stays so.
    assert.equal((await world.run(['repo', 'export', did, folder])).code, EXIT.usage)
    const other = await world.run(['repo', 'export', world.did(1), folder, '--format', 'ndjson'])
    assert.equal(other.code, EXIT.usage)
  })

  test('a folder that cannot be written is told as such', async (context) => {
    if (process.getuid?.() === 0) {
      context.skip('root may write anywhere')
      return
    }
    const folder = world.path('sealed')
    await world.run(['repo', 'export', car, folder])
    await chmod(folder, 0o500)
    const { code, err } = await world.run(['repo', 'export', did, folder])
    assert.equal(code, EXIT.failure)
    assert.match(err, /permission denied/)
  })

  test('a file in the way of the folder is told as such', async () => {
    const { code, err } = await world.run(['repo', 'export', car, `${car}/inside`])
    assert.equal(code, EXIT.failure)
    assert.match(err, /a part of the path is no folder/)
  })
})

describe('records', () => {
  test('a record with its proof, which verifies from the file', async () => {
    const [path, cid] = must([...truth()][0], 'record')
    const [collection = '', rkey = ''] = path.split('/')
    const proof = world.path('proof.car')
    const args = ['record', 'get', did, collection, rkey, '--prove', '--car', proof, '--json']
    const { code, out } = await world.run(args)
    assert.equal(code, EXIT.ok)
    const shown = JSON.parse(out) as { cid: string; proof: { carBytes: number; commit: string } }
    assert.equal(shown.cid, cid)
    assert.equal(shown.proof.carBytes, statSync(proof).size)
    const { head } = must(world.network.simulation.world.account(did), 'account')
    assert.equal(shown.proof.commit, head?.commit)
    const text = await world.run(['record', 'get', `at://${did}/${path}`, '--prove'])
    assert.match(text.out, /signature +good/)
  })

  test('absence is proven, and is 3', async () => {
    const { code, err } = await world.run(['record', 'get', did, 'app.bsky.feed.post', 'nobody'])
    assert.equal(code, EXIT.absent)
    assert.match(err, /proven not to be there/)
    assert.equal((await world.run(['record', 'get', did])).code, EXIT.usage)
  })
})
