/** Prints a line for each event of a relay or PDS: `node examples/watch.ts [ws://host:port]`. */
import { parseFrame } from '../src/stream/index.ts'

const relay = process.argv[2] ?? 'ws://127.0.0.1:2470'
const socket = new WebSocket(`${relay}/xrpc/com.atproto.sync.subscribeRepos?cursor=0`)
socket.binaryType = 'arraybuffer'

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

socket.addEventListener('open', () => print(`connected to ${relay}`))
socket.addEventListener('close', ({ code, reason }) => print(`closed: ${code} ${reason}`))
socket.addEventListener('message', ({ data }) => {
  const frame = parseFrame(new Uint8Array(data as ArrayBuffer))
  if (!frame.ok) print(`unreadable: ${frame.reason}`)
  else if (frame.value.kind !== 'message') print(JSON.stringify(frame.value))
  else {
    const { seq, type, body } = frame.value
    print(`${seq} ${type} ${type === '#commit' ? body.repo : body.did}`)
  }
})
