/** The whole client with the conditions of a browser: nothing of Node, and the same answers. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { PrivateKey } from '../../crypto/private-key.ts'
import { formatMultikey } from '../../crypto/public-key.ts'
import { encodeCar } from '../../data/car-stream.ts'
import { CODEC_DAG_CBOR, cidOf } from '../../data/cid.ts'
import { encodeDrisl } from '../../data/drisl-encode.ts'
import { sendJson, startLoopbackServer } from '../../identity/testing/loopback-server.ts'
import { signCommit } from '../../repo/commit.ts'
import { repoCarBlocks } from '../../repo/repo-car.ts'
import { Tree } from '../../repo/tree.ts'

const SOURCE = new URL('../../', import.meta.url)
const DID = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'

/** Resolves as a browser would: no `node` condition, and anything from `node:` is an error. */
const BROWSER_HOOKS = `
  import { registerHooks } from 'node:module'
  registerHooks({
    resolve(specifier, context, next) {
      if (context.parentURL?.startsWith('data:')) return next(specifier, context)
      if (specifier.startsWith('node:')) throw new Error('reached ' + specifier)
      const conditions = context.conditions.filter((name) => !name.startsWith('node'))
      return next(specifier, { ...context, conditions: [...conditions, 'browser'] })
    },
  })`

const BROWSER_PROGRAM = `
  const [entry, networkEntry, origin, did] = process.argv.slice(1)
  const { SyncClient } = await import(entry)
  const { createWebIdentityResolver } = await import(networkEntry)
  const identities = createWebIdentityResolver({ plcDirectories: [origin] })
  const client = new SyncClient(origin, { identities })
  const repo = await client.verified.getRepo({ did })
  const values = []
  for await (const { path, record } of repo.records) values.push([path, record.value.n])
  const other = new SyncClient('http://127.0.0.1:1', { retry: 'never' })
  const code = await other.getHead({ did }).catch((error) => error.code)
  process.stdout.write(JSON.stringify({ values, rev: repo.rev, code }))`

test('a repository is read and verified without anything of Node', async () => {
  const key = PrivateKey.generate('p256')
  const block = encodeDrisl({ n: 7 })
  const cid = cidOf(CODEC_DAG_CBOR, block)
  const tree = Tree.empty()
  tree.put('org.example.note/a', cid)
  const held = [{ cid, block }]
  const data = tree.write((nodeCid, node) => held.push({ cid: nodeCid, block: node }))
  const commit = signCommit({ did: DID, rev: '3l2222222222a', data }, key)
  const source = (wanted: Uint8Array): Uint8Array | null =>
    held.find((one) => one.cid.every((byte, i) => byte === wanted[i]))?.block ?? null
  const car = encodeCar([commit.cid], repoCarBlocks(commit, tree, source))
  await using server = await startLoopbackServer((request, response) => {
    if (request.url === `/${DID}`) {
      const type = 'Multikey'
      const publicKeyMultibase = formatMultikey(key.publicKey)
      const method = { id: `${DID}#atproto`, type, controller: DID, publicKeyMultibase }
      sendJson(response, { id: DID, verificationMethod: [method] })
    } else {
      response.writeHead(200, { 'content-type': 'application/vnd.ipld.car' }).end(car)
    }
  })
  const hooks = `data:text/javascript,${encodeURIComponent(BROWSER_HOOKS)}`
  const args = ['--import', hooks, '--input-type=module', '--eval', BROWSER_PROGRAM]
  const entries = ['client/index.ts', 'identity/web-network.ts'].map(
    (path) => new URL(path, SOURCE).href,
  )
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...args, ...entries, server.origin, DID],
    { cwd: fileURLToPath(SOURCE) },
  )
  assert.deepEqual(JSON.parse(stdout), {
    values: [['org.example.note/a', 7]],
    rev: '3l2222222222a',
    code: 'Unreachable',
  })
})
