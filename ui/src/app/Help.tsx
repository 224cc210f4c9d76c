/** The shortcuts that work on the page behind this dialog. */
import { useAliveShortcuts } from '@/shared/shortcuts'
import { Keys } from '@/shared/ui/basics'
import { Dialog } from '@/shared/ui/Dialog'

export function Help({ open, onClose }: { open: boolean; onClose: () => void }) {
  const shortcuts = useAliveShortcuts()
  const groups = [...new Set(shortcuts.map((s) => s.group))].reverse()
  return (
    <Dialog title="Keyboard shortcuts" open={open} onClose={onClose} className="w-[min(44rem,calc(100vw-2rem))]">
      <div className="grid gap-x-8 gap-y-5 overflow-y-auto p-5 sm:grid-cols-2">
        {groups.map((group) => (
          <section key={group}>
            <h3 className="mb-1.5 text-xs font-semibold text-muted">{group}</h3>
            <dl>
              {shortcuts
                .filter((s) => s.group === group)
                .map((s) => (
                  <div key={s.keys} className="flex items-center justify-between gap-4 py-1">
                    <dt>{s.label}</dt>
                    <dd>
                      <Keys keys={s.keys} />
                    </dd>
                  </div>
                ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  )
}
