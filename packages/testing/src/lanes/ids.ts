export const ids = { lamp: '00000000-0000-7000-8000-00000000000a' }
