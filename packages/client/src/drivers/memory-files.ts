import type { Sqlite3Static, WasmPointer } from '@sqlite.org/sqlite-wasm'

import { BlockFile } from './block-file.ts'

/** The name under which SQLite knows this file system. */
export const memoryFiles = 'holdfast-memory'

/** Files by their path. */
const files = new Map<string, BlockFile>()

/** Files that are open, by the address of SQLite's handle. */
const opened = new Map<
  WasmPointer,
  { readonly file: BlockFile; readonly path: string; readonly flags: number }
>()

let isInstalled = false
let temporaryCount = 0

/** Puts a file where SQLite finds it. Gives the way to take it away again. */
export function addMemoryFile(sqlite3: Sqlite3Static, path: string, file: BlockFile): () => void {
  if (!isInstalled) install(sqlite3)
  isInstalled = true
  files.set(path, file)
  return () => void files.delete(path)
}

/**
 * A file system whose files are in memory, for one connection each: nobody else can have them, so that locks are granted
 * without being kept. Source: https://www.sqlite.org/c3ref/vfs.html, https://www.sqlite.org/c3ref/io_methods.html
 */
function install(sqlite3: Sqlite3Static): void {
  const { capi } = sqlite3
  const io = new capi.sqlite3_io_methods()
  // The declarations lack what the structure has. Version 1 has no shared memory, and so no log beside the file.
  Object.assign(io, { $iVersion: 1 })
  const vfs = new capi.sqlite3_vfs()
  const { structInfo } = capi.sqlite3_file as unknown as { structInfo: { sizeof: number } }
  Object.assign(vfs, { $iVersion: 2, $szOsFile: structInfo.sizeof, $mxPathname: 512 })
  // Time and chance are those of the build's own file system.
  const standard = new capi.sqlite3_vfs(capi.sqlite3_vfs_find(null))
  for (const member of ['$xRandomness', '$xSleep', '$xCurrentTime', '$xCurrentTimeInt64'])
    Reflect.set(vfs, member, Reflect.get(standard, member))
  standard.dispose()
  sqlite3.vfs.installVfs({
    io: { struct: io, methods: ioMethods(sqlite3) },
    vfs: { struct: vfs, methods: vfsMethods(sqlite3, io.pointer), name: memoryFiles },
  })
}

type Methods = Parameters<Sqlite3Static['vfs']['installVfs']>[0]
type IoMethods = NonNullable<Methods['io']>['methods']
type VfsMethods = NonNullable<Methods['vfs']>['methods']

function ioMethods({ capi, wasm }: Sqlite3Static): IoMethods {
  const { SQLITE_OK: ok, SQLITE_IOERR: failed } = capi
  const fileAt = (handle: WasmPointer): BlockFile | undefined => opened.get(handle)?.file
  const bytesAt = (address: WasmPointer, count: number): Uint8Array =>
    wasm.heap8u().subarray(Number(address), Number(address) + count)
  return {
    xClose(handle) {
      const known = opened.get(handle)
      opened.delete(handle)
      if (known && (known.flags & capi.SQLITE_OPEN_DELETEONCLOSE) !== 0) files.delete(known.path)
      return ok
    },
    xRead(handle, target, count, at) {
      const read = fileAt(handle)?.read(bytesAt(target, count), Number(at))
      if (read === undefined) return failed
      return read < count ? capi.SQLITE_IOERR_SHORT_READ : ok
    },
    xWrite(handle, source, count, at) {
      const file = fileAt(handle)
      file?.write(bytesAt(source, count), Number(at))
      return file === undefined ? failed : ok
    },
    xTruncate(handle, size) {
      const file = fileAt(handle)
      file?.truncate(Number(size))
      return file === undefined ? failed : ok
    },
    xFileSize(handle, result) {
      wasm.poke64(result, BigInt(fileAt(handle)?.size ?? 0))
      return ok
    },
    xCheckReservedLock(_handle, result) {
      wasm.poke32(result, 0)
      return ok
    },
    xSync: () => ok,
    xLock: () => ok,
    xUnlock: () => ok,
    xFileControl: () => capi.SQLITE_NOTFOUND,
    xDeviceCharacteristics: () => ok,
  }
}

function vfsMethods({ capi, wasm }: Sqlite3Static, io: WasmPointer): VfsMethods {
  const { SQLITE_OK: ok } = capi
  return {
    xOpen(_vfs, name, handle, flags, flagsOut) {
      const path = wasm.cstrToJs(name) ?? `temporary-${temporaryCount++}`
      const mayCreate = (flags & capi.SQLITE_OPEN_CREATE) !== 0
      const file = files.get(path) ?? (mayCreate ? new BlockFile() : undefined)
      if (file === undefined) return capi.SQLITE_CANTOPEN
      files.set(path, file)
      opened.set(handle, { file, path, flags })
      const struct = new capi.sqlite3_file(handle)
      struct.$pMethods = io
      struct.dispose()
      if (flagsOut) wasm.poke32(flagsOut, flags)
      return ok
    },
    xDelete(_vfs, name) {
      files.delete(wasm.cstrToJs(name) ?? '')
      return ok
    },
    xAccess(_vfs, name, _flags, result) {
      wasm.poke32(result, files.has(wasm.cstrToJs(name) ?? '') ? 1 : 0)
      return ok
    },
    xFullPathname(_vfs, name, room, target) {
      return wasm.cstrncpy(target, name, room) < room ? ok : capi.SQLITE_CANTOPEN
    },
    xGetLastError: () => undefined,
  }
}
