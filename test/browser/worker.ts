/** A worker that answers one question with {@link workerReport}. */
import { messageOf } from '../../src/lib/errors.ts'
import { type Services, workerReport } from './page.ts'

type Question = readonly [services: Services, did: string, path: string]

const scope = globalThis as unknown as {
  postMessage(answer: unknown, transfer: readonly unknown[]): void
  addEventListener(type: 'message', listener: (event: { readonly data: Question }) => void): void
}

scope.addEventListener('message', ({ data }) => {
  workerReport(...data).then(
    (report) => scope.postMessage(report, []),
    (thrown: unknown) => scope.postMessage(messageOf(thrown), []),
  )
})
