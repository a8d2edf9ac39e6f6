import { afterEach, expect, test, vi } from 'vitest'

import { findProgram } from './debian-package.ts'
import { MissingService, startUnlessMissing } from './missing-service.ts'

afterEach(() => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
})

const startMissing = (): Promise<never> => Promise.reject(new MissingService('a server is missing: get it'))

test('what is missing is one line and no server', async () => {
  vi.stubEnv('CI', undefined)
  const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  expect(await startUnlessMissing(startMissing)).toBeUndefined()
  expect(write.mock.calls).toEqual([['a server is missing: get it\n']])
})

test('under CI what is missing is an error', async () => {
  vi.stubEnv('CI', 'true')
  await expect(startUnlessMissing(startMissing)).rejects.toThrow('a server is missing: get it')
})

test('a server that is there and does not start is always an error', async () => {
  vi.stubEnv('CI', undefined)
  await expect(startUnlessMissing(() => Promise.reject(new Error('no disk')))).rejects.toThrow('no disk')
})

test('a program that is nowhere is named with its package and what else helps', () => {
  vi.spyOn(process, 'getuid').mockReturnValue(1_000)
  const program = { name: 'toaster', debianPackage: 'toaster-server', otherwise: 'set TOASTER_URL' }
  expect(() => findProgram(program)).toThrow(
    'toaster is missing, its tests cannot run: install it (Debian: apt-get install toaster-server), or set TOASTER_URL',
  )
})

test('a program is found in the folders that are named', () => {
  expect(findProgram({ name: 'sh', folders: ['/nowhere', '/bin'], debianPackage: 'dash' })).toBe('/bin/sh')
})
