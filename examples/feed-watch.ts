import { subscribe, type SubscribeOptions } from '../src/client/index.ts'

/** Says in a line what each commit to a collection does, for as long as the loop goes on. */
export async function* watch(
  collection: string,
  options: SubscribeOptions,
): AsyncGenerator<string> {
  for await (const delivery of subscribe({ ...options, filter: { collections: [collection] } })) {
    if (delivery.kind !== 'commit') continue
    for (const { action, rkey, record } of delivery.ops) {
      const text = record?.valid ? JSON.stringify(record.value['text']) : ''
      yield `${delivery.did} ${action} ${rkey} ${text}`.trim()
    }
  }
}
