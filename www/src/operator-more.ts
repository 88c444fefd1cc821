// Orders of other days: a file of the operator's own is put into a sector, the chain's authority makes a block.

import { html } from 'lit';
import { bytes, count } from './amounts';
import { operator } from './operator-state';
import { View } from './view';
import { spoken } from './words';
import { o } from './words/operator';

interface AddedPiece {
  dataCid: string;
  size: number;
  sector: number;
}

export class MoreOrders extends View {
  private file: File | undefined;

  protected override sources(): readonly EventTarget[] {
    return [operator, spoken];
  }

  override render() {
    const { addPiece, mineOnce } = o.orders;
    return html`
      <p class="note">${addPiece.means}</p>
      <label class="field">${addPiece.file}<input type="file" data-testid="add-piece-file" ?disabled=${!operator.may('operate')} @change=${this.choose} /></label>
      <sd-order .order=${{
        id: 'add-piece',
        whyAt: 'orders-why',
        label: addPiece.label,
        needs: 'operate',
        isOff: this.file === undefined,
        failed: () => o.orders.addPiece.failed,
        run: this.add,
      }}></sd-order>
      <hr />
      <p class="note">${mineOnce.means}</p>
      <sd-order .order=${{
        id: 'mine-once',
        whyAt: 'orders-why',
        label: mineOnce.label,
        needs: 'operate',
        failed: () => o.orders.mineOnce.failed,
        run: this.mine,
      }}></sd-order>
    `;
  }

  private readonly choose = (event: Event) => {
    this.file = (event.target as HTMLInputElement).files?.[0];
    this.requestUpdate();
  };

  private readonly add = async () => {
    const piece = await operator.order<AddedPiece>('add-piece', { bytes: this.file });
    return () => o.orders.addPiece.done(bytes(piece.size), count(piece.sector));
  };

  private readonly mine = async () => {
    const { height } = await operator.order<{ height: number }>('mining/once');
    return () => o.orders.mineOnce.done(count(height));
  };
}
customElements.define('sd-op-more', MoreOrders);
