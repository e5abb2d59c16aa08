import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { PrivateKey } from './private-key.ts'
import { runtime as webRuntime } from './runtime.web.ts'
import { loadVerifier } from './verifier.ts'

const SOURCE = new URL('../', import.meta.url)

test('#runtime is runtime.node.ts here, and runtime.web.ts by default', async () => {
  assert.equal(import.meta.resolve('#runtime'), new URL('crypto/runtime.node.ts', SOURCE).href)
  const manifest: { imports: Record<string, Record<string, string>> } = JSON.parse(
    await readFile(new URL('package.json', SOURCE), 'utf8'),
  )
  assert.deepEqual(manifest.imports['#runtime'], {
    node: './crypto/runtime.node.ts',
    default: './crypto/runtime.web.ts',
  })
})

/**
 * The modules that `entry` reaches when `#runtime` is the default one: ours, and bare specifiers.
 */
async function reach(entry: URL): Promise<{ files: Set<string>; packages: Set<string> }> {
  const files = new Set<string>()
  const packages = new Set<string>()
  const pending = [entry]
  for (let url = pending.pop(); url !== undefined; url = pending.pop()) {
    if (files.has(url.href)) continue
    files.add(url.href)
    const text = await readFile(url, 'utf8')
    for (const match of text.matchAll(/(?:from|import\()\s*'([^']+)'/g)) {
      const specifier = match[1] ?? ''
      if (specifier === '#runtime') pending.push(new URL('crypto/runtime.web.ts', SOURCE))
      else if (specifier.startsWith('.')) pending.push(new URL(specifier, url))
      else packages.add(specifier)
    }
  }
  return { files, packages }
}

test('nothing from node: is reachable under the default condition', async () => {
  const { files, packages } = await reach(new URL('crypto/index.ts', SOURCE))
  assert.ok(files.has(new URL('crypto/sha256.web.ts', SOURCE).href))
  assert.ok(!files.has(new URL('crypto/sha256.node.ts', SOURCE).href))
  assert.deepEqual([...packages].sort(), [
    '@atcute/multibase',
    '@noble/curves/abstract/weierstrass.js',
    '@noble/curves/nist.js',
    '@noble/curves/secp256k1.js',
    '@noble/hashes/sha2.js',
  ])
  const syntax = await reach(new URL('syntax/index.ts', SOURCE))
  assert.deepEqual([...syntax.packages].sort(), ['@atcute/lexicons/syntax', '@atcute/tid'])
})

/** Resolves as a browser would: no `node` condition, and anything from `node:` is an error. */
const BROWSER_HOOKS = `
  import { registerHooks } from 'node:module'
  registerHooks({
    resolve(specifier, context, next) {
      if (context.parentURL?.startsWith('data:')) return next(specifier, context)
      if (specifier.startsWith('node:')) throw new Error('reached ' + specifier)
      const conditions = context.conditions.filter((name) => name !== 'node' && name !== 'node-addons')
      return next(specifier, { ...context, conditions })
    },
  })`

const BROWSER_PROGRAM = `
  const crypto = await import(process.argv[1])
  const verifier = await crypto.loadVerifier()
  const message = new Uint8Array([1, 2, 3])
  const answers = [verifier.backends]
  for (const curve of crypto.CURVES) {
    const key = crypto.PrivateKey.generate(curve)
    const signature = key.sign(message)
    const read = crypto.parseDidKey(crypto.formatDidKey(key.publicKey))
    answers.push(verifier.verify(read, message, signature))
    answers.push(await verifier.verifyAsync(read, message, signature))
    answers.push(await verifier.verifyAsync(read, new Uint8Array(3), signature))
  }
  answers.push(crypto.sha256Latin1(message).length)
  process.stdout.write(JSON.stringify(answers))`

test('the whole folder works with the conditions of a browser', async () => {
  const hooks = `data:text/javascript,${encodeURIComponent(BROWSER_HOOKS)}`
  const entry = new URL('crypto/index.ts', SOURCE).href
  const options = { cwd: fileURLToPath(SOURCE) }
  const args = ['--import', hooks, '--input-type=module', '--eval', BROWSER_PROGRAM, entry]
  const { stdout } = await promisify(execFile)(process.execPath, args, options)
  const verdicts = ['ok', 'ok', 'signature-invalid']
  assert.deepEqual(JSON.parse(stdout), [
    { k256: 'noble', p256: 'noble' },
    ...verdicts,
    ...verdicts,
    32,
  ])
})

test('the asynchronous P-256 asks WebCrypto, and the synchronous one when that cannot', async (t) => {
  const verifier = await loadVerifier({ runtime: webRuntime })
  const key = PrivateKey.generate('p256')
  const message = new Uint8Array(64).fill(5)
  const signature = key.sign(message)
  const asked = t.mock.method(crypto.subtle, 'verify')
  assert.equal(await verifier.verifyAsync(key.publicKey, message, signature), 'ok')
  assert.equal(asked.mock.callCount(), 1)

  asked.mock.mockImplementation(() => Promise.reject(new Error('not here')))
  assert.equal(await verifier.verifyAsync(key.publicKey, message, signature), 'ok')
  const other = new Uint8Array(64).fill(6)
  const refused = await verifier.verifyAsync(key.publicKey, other, signature)
  assert.equal(refused, 'signature-invalid')
  assert.equal(asked.mock.callCount(), 3)
})
