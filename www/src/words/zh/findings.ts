// 简体中文：程序的结论，按其英文原文对应。程序说这些话时没有代码；`{}` 处是它所填的内容，`{0}`、`{1}` 按原文的次序放入译文。
//
// 由 `words.test.mjs` 与 Rust 源码核对：标题所列文件中的话，这里都要有，也只有这些。

/** What the engine says of the steps of a deal, under its own words. */
export const findings: Readonly<Record<string, string>> = {
  // shared/src/client/passport/standing.rs
  'the manifest {} lists this piece with its size and both its commitments':
    '清单 {0} 列有这个分片，以及它的大小和两个承诺',
  'the file is this piece of {} bytes': '文件就是这个 {0} 字节的分片',
  'a file of {} bytes; the receipt does not contain it': '一个 {0} 字节的文件；收据中不含文件本身',
  'the receipt does not say what the piece is': '收据没有说明分片是什么',
  'the data at hand have the root {} and commP {}': '手头的数据的根是 {0}，commP 是 {1}',
  'computed here from the data: root {}, commP {}': '在此由数据算出：根 {0}，commP {1}',
  'the client has signed root {} and commP {}; with the file at hand they can be computed again':
    '客户端签署了根 {0} 和 commP {1}；有文件就可以重新计算',
  'the client has signed root {}; that its data have commP {} is nowhere signed, and with the file at hand can be computed':
    '客户端签署了根 {0}；其数据的 commP 是 {1} 没有任何签名，有文件就可以计算',
  'the proposal is what these terms come to: {} bytes for {} blocks with {} cost {} FIL':
    '提案与这些条款相符：{0} 字节，{1} 个区块，矿工 {2}，价格 {3} FIL',
  'drawn up, and not signed yet': '已拟定，尚未签名',
  'there are no terms': '没有条款',
  'nothing is signed': '尚未签名',
  'the deal is free: no channel, and no vouchers': '交易免费：没有支付通道，也没有凭证',
  'all {} vouchers are signed by the payer and add up to the price': '全部 {0} 张凭证都由付款方签名，合计等于价格',
  'all {} vouchers are signed by {}, which is said to sign for the payer, and add up to the price':
    '全部 {0} 张凭证都由 {1} 签名，据称它代付款方签名；合计等于价格',
  '{}; the message that opened the channel': '{0}；打开支付通道的消息',
  '{}; the message that opened the channel is not here': '{0}；打开支付通道的消息不在这里',
  '{} signed it; its id is {}': '由 {0} 签名；其 ID 为 {1}',
  '{} signed it, which is said to sign for {}; the message that names this key is not here; its id is {}':
    '由 {0} 签名，据称它代 {1} 签名；指定这个密钥的消息不在这里；其 ID 为 {2}',
  'the proposal is not signed yet': '提案尚未签名',
  'the worker {} signed that the miner takes the deal': 'worker {0} 签名表示矿工接受这笔交易',
  'the worker {} signed a later answer, {}, which follows it': 'worker {0} 签署了更后面的答复 {1}，它在接受之后',
  'the miner has not answered': '矿工还没有答复',
  'the miner has not said that it has the data': '矿工还没有说它已有数据',
  'the data went from here, every block named by its hash, and the miner signed that it has them':
    '数据从这里发出，每块都以哈希命名；矿工签名表示已收到',
  'the miner signed that it has the data': '矿工签名表示已有数据',
  'the miner has not said so': '矿工还没有这样说',
  'the miner signed that it has staged the piece, which it does only after this check; that the commP is the agreed one is shown by the inclusion proof':
    '矿工签名表示已放入分片，而它只在校验之后才这样做；commP 与约定一致由包含证明表明',
  'the inclusion proof shows it in the data of sector {}': '包含证明表明它在扇区 {0} 的数据中',
  'the miner signed that the piece is in a sector': '矿工签名表示分片已在扇区中',
  'the miner has not said which sector it is': '矿工还没有说是哪个扇区',
  'the proof of the commit shows that replica {} encodes the data of sector {}':
    '提交所附的证明表明，副本 {0} 编码了扇区 {1} 的数据',
  'sector {} was announced in block {} with the same commitments': '扇区 {0} 在区块 {1} 中公布，承诺相同',
  'the miner signed that sector {} is sealed': '矿工签名表示扇区 {0} 已封装',
  'the miner has not said which sector is committed': '矿工还没有说提交了哪个扇区',
  'the commit message is not here': '提交消息不在这里',
  'its proof was checked here, under the verifying key {}; the commit': '其证明已在此检查，验证密钥 {0}；提交消息',
  'the chain accepted its proof, which was not checked here: {}': '链接受了它的证明，此处未检查：{0}',
  'the chain accepted its proof, which was not checked here': '链接受了它的证明，此处未检查',
  'the deal is not complete': '交易尚未完成',
  'commP leads over {} hashes to commD {}, and the miner signed it':
    'commP 经过 {0} 个哈希通向 commD {1}，并由矿工签名',
  'the receipt does not say what the piece is, so that the inclusion proof was not checked':
    '收据没有说明分片是什么，所以没有检查包含证明',
  '{}; in a free deal nothing signed ties commP to the data root: the file at hand does':
    '{0}；免费交易中没有签名把 commP 与数据根联系起来：手头的文件可以',
  'the miner has not said which sector is proven': '矿工还没有说证明的是哪个扇区',
  'no proof-of-spacetime is here yet': '这里还没有时空证明',
  'the chain keeps too little of them': '链保留的相关内容不够',
  'the chain accepted {} that cover the sector; none was checked here: {}':
    '链接受了 {0} 次覆盖该扇区的证明；此处都未检查：{1}',
  'all {} proofs-of-spacetime that are here were checked, and hold': '这里的全部 {0} 次时空证明都已检查，均成立',
  "{} of {} proofs-of-spacetime were checked here, and hold; the others are somebody's word":
    '{1} 次时空证明中有 {0} 次在此检查，均成立；其余只是别人的说法',
  '{} cover the sector; {} of them are shown to be on the chain': '{0} 次证明覆盖该扇区；其中 {1} 次表明在链上',
  'the deal is free: there is nothing to redeem': '交易免费：没有可兑现的',
  'no voucher is redeemed yet': '还没有兑现凭证',
  'the last': '最后一次兑现',
  "{} of the deal's vouchers redeemed by their payee; {}": '收款方已兑现交易的 {0} 张凭证；{1}',
  'all {} bytes came back, every block checked against its hash': '全部 {0} 字节都已取回，每块都与其哈希核对',
  'the file was not taken back yet': '文件还没有取回过',
  '{} is in block {}, as the header shows that the authority signed': '{0}在区块 {1} 中，由权威签名的区块头表明',
  '{}; that {} signs for this miner is not shown here': '{0}；这里没有表明 {1} 代这个矿工签名',
  '{} is in block {}, as whoever made this receipt says': '{0}在区块 {1} 中，这是收据制作者的说法',
  '{} is in block {}, as the chain says': '{0}在区块 {1} 中，这是链的说法',
  // shared/src/client/passport/inspection.rs
  "the seal's proof does not hold: {}": '封装的证明不成立：{0}',
  'proof-of-spacetime {} does not hold: {}': '第 {0} 次时空证明不成立：{1}',
  'the data at hand are {} bytes with the root {} and commP {}': '手头的数据有 {0} 字节，根是 {1}，commP 是 {2}',
  'The chain is a development chain of one authority: what it signs is true because it says so.':
    '这条链是只有一个权威的开发链：它签名的内容之所以为真，只因为它这样说。',
  'Its proving keys come from a public seed: anybody who knows it can make a proof of what never was. That the data are there is shown by taking them back.':
    '它的证明密钥来自公开的种子：知道种子的人都能为从未发生的事造出证明。数据确实还在，要靠取回来证明。',
  'A receipt tells of the past. Whether the data are stored today, it cannot say.':
    '收据说的是过去。数据今天是否还存着，它不能说明。',
  'This receipt has no genesis record, so that nothing that it says of the chain was checked.':
    '这份收据没有创世记录，所以它关于链的内容都没有检查。',
  'Which network this is, the receipt says itself, and anybody can make one of any name: compare its genesis id with that of the network that you mean.':
    '这是哪个网络，只是收据自己的说法，而任何人都能建一个任意名称的网络：请把它的创世 ID 与你所指的网络比较。',
  "Without the file, that CommP and data root are those of the same data is the client's word.":
    '没有文件，CommP 与数据根属于同一份数据，只是客户端的说法。',
  // shared/src/client/passport/anchoring, parts.rs
  'the payer did not sign this proposal': '付款方没有签署这份提案',
  'there is no signed proposal that it could belong to': '没有它可以归属的已签名提案',
  "a voucher is for another channel than the proposal's": '有一张凭证属于另一条支付通道，不是提案中的',
  "a voucher is of another payer than the proposal's": '有一张凭证的付款方不是提案的付款方',
  'the message {} is there twice': '消息 {0} 出现了两次',
  'the last voucher pays {} FIL, and the deal costs {} FIL': '最后一张凭证支付 {0} FIL，而交易价格是 {1} FIL',
  'the price is more than all FIL': '价格超过全部 FIL',
  'the price in FIL': '以 FIL 计的价格',
  'no sector has {} bytes': '没有 {0} 字节的扇区',
  'the vouchers are not those that these terms call for': '凭证与这些条款的要求不符',
  'data root': '数据根',
  'piece CID': '分片 CID',
  "the manifest's id": '清单的 ID',
  'the manifest does not list this piece': '清单没有列出这个分片',
  "the channel's message": '通道的消息',
  "the channel's payer": '通道的付款方',
  'the message opens no payment channel': '这条消息没有打开支付通道',
  "the channel holds {} FIL, less than the deal's {} FIL": '通道中有 {0} FIL，少于交易的 {1} FIL',
  'who is paid': '收款方',
  "the channel's id": '通道的编号',
  'the miner says complete, and not where': '矿工说已完成，却没有说在哪里',
  'the miner sent no inclusion proof': '矿工没有发送包含证明',
  'no sector has this size': '没有这种大小的扇区',
  "the commit's id": '提交消息的 ID',
  "the height of the replica's ticket": '副本所用票据的区块',
  'the seed is of block {}, and due in block {}': '种子取自区块 {0}，而应取自区块 {1}',
  "the ticket of block {} is not the authority's": '区块 {0} 的票据不是权威签发的',
  'a message proves no storage of this miner': '有一条消息没有证明这个矿工的存储',
  'a proof is older than the window that it is for': '有一次证明早于它所属的窗口',
  'a proof does not cover sector {} with its commR': '有一次证明没有覆盖扇区 {0} 及其 commR',
  "a message redeems none of the deal's vouchers": '有一条消息没有兑现交易的任何凭证',
  'the root of what came back': '取回内容的根',
  'the size of what came back': '取回内容的大小',
  'the sender of {} in block {} did not sign it': '区块 {1} 中 {0} 的发送方没有签名',
  '{} in block {} failed with exit code {}': '区块 {1} 中的 {0} 失败，退出码 {2}',
  "the block's height": '区块的高度',
  '{} is {}, and elsewhere {}': '{0}在此为 {1}，别处为 {2}',
  'the message is not {} of {}': '这条消息不是 {1} 的 {0}',
  "{} names another sector or other commitments than the miner's answer": '{0} 所说的扇区或承诺与矿工的答复不同',
  'voucher {} is not signed by the payer': '第 {0} 张凭证不是付款方签名的',
  'voucher {} is for somebody else, or for another channel': '第 {0} 张凭证属于别人，或属于另一条通道',
  "the answer {} is not signed by the miner's worker {}": '答复 {0} 不是矿工的 worker {1} 签名的',
  "the answer's deal": '答复所属的交易',
  'the answer': '答复',
  'the artefact {} cannot be read: {}': '证据 {0} 无法读取：{1}',
  // shared/src/deal/verification.rs
  'commit message': '提交消息',
  'commP {} leads over {} hashes to commD {}': 'commP {0} 经过 {1} 个哈希通向 commD {2}',
  'the chain does not know message {}': '链不知道消息 {0}',
  'message {} was in block {}, and its sector is on the chain': '消息 {0} 曾在区块 {1} 中，其扇区在链上',
  'message {} commits another sector or other commitments than the miner says':
    '消息 {0} 提交的扇区或承诺与矿工所说的不同',
  'message {} is in no block yet': '消息 {0} 还不在任何区块中',
  'message {} in block {} committed sector {} of {}: the chain accepted its proof':
    '区块 {1} 中的消息 {0} 提交了 {3} 的扇区 {2}：链接受了它的证明',
  'message {} in block {} failed with exit code {}': '区块 {1} 中的消息 {0} 失败，退出码 {2}',
  'the chain knows no miner {}': '链上没有矿工 {0}',
  'the deal ended with block {}, and sector {} is released': '交易已在区块 {0} 结束，扇区 {1} 已释放',
  'the chain knows no sector {} of miner {}': '链上没有矿工 {1} 的扇区 {0}',
  '{} of sector {} is {} on the chain, but the miner says {}': '扇区 {1} 的 {0} 在链上是 {2}，而矿工说是 {3}',
  'commD, commR and commRStar of sector {} are the same on the chain': '扇区 {0} 的 commD、commR、commRStar 与链上相同',
  'the miner missed its proof and lost its power in block {}': '矿工错过了证明，在区块 {0} 失去了算力',
  'sector {} was never proven; the first proof is overdue since block {}':
    '扇区 {0} 从未被证明；第一次证明自区块 {1} 起已逾期',
  'sector {} has not been proven yet; the first proof is due by block {}':
    '扇区 {0} 尚未被证明；第一次证明应不晚于区块 {1}',
  'sector {} was last proven in block {}; the next proof is overdue since block {}':
    '扇区 {0} 最近一次证明在区块 {1}；下一次自区块 {2} 起已逾期',
  'one proof-of-spacetime covers sector {}, in block {}': '有一次时空证明覆盖扇区 {0}，在区块 {1}',
  '{} proofs-of-spacetime cover sector {}, the last one in block {}':
    '有 {0} 次时空证明覆盖扇区 {1}，最近一次在区块 {2}',
  // shared/src/client/verifying.rs, light.rs
  "the chain's endpoint shows other rules than the network's genesis record": '链的接口给出的规则与网络的创世记录不同',
  'the deal ended with block {}': '交易已在区块 {0} 结束',
  'exit code {} of the message in place of {}': '消息的退出码是 {0}，而不是 {1}',
  'another message, or another block': '另一条消息，或另一个区块',
  'other commitments of the sector': '扇区的另一些承诺',
  'the chain finds the piece in sector {}': '链在扇区 {0} 中找到了这个分片',
  'an answer of the actor has no proof; inclusion and commitments together show the same':
    '链上程序的答复没有证明；包含证明与承诺一起表明同样的事',
  "the chain's endpoint says otherwise than it proves: {}": '链的接口所说的与它所证明的不同：{0}',
  'the endpoint says that the message is in no block, which it cannot prove':
    '接口说这条消息不在任何区块中，而这无法证明',
  'it proves message {}, not {}': '它证明的是消息 {0}，不是 {1}',
  'it proves other entries of the state than it was asked for': '它证明的状态条目不是所问的',
  'it proves the state after block {}, and has shown block {} already':
    '它证明的是区块 {0} 之后的状态，而它已经给出过区块 {1}',
  "the network's genesis id is not known here": '此处不知道网络的创世 ID',
  "{} hashes lead to the header of block {} ({}), which the network's authority signed":
    '经过 {0} 个哈希通向区块 {1}（{2}）的区块头，由网络的权威签名',
  "what the chain's endpoint sent does not prove it: {}": '链的接口所给的内容不足以证明：{0}',
  'this network is not to be relied upon: {}': '这个网络不可信赖：{0}',
  "the chain's endpoint cannot prove it: {}": '链的接口无法证明：{0}',
  // shared/src/client/evidence.rs
  "this network's proofs are fake: they prove nothing, and it exists only for tests":
    '这个网络的证明是假的：它们什么也不证明，网络只为测试而存在',
  'this network\'s proofs are not made under verifying keys that are known here, but under "{}"':
    '这个网络的证明所用的验证密钥不是此处已知的，而是“{0}”',
  'the commit message is not applied': '提交消息没有生效',
  'message {} commits no sector of this miner': '消息 {0} 没有提交这个矿工的扇区',
  "the sector's pre-commit is not among the messages that the chain shows": '链给出的消息中没有这个扇区的预提交',
  '{} in the same block may have changed what was to be proven': '同一区块中的 {0} 可能改变了要证明的内容',
  'the chain had set no window': '链没有设定窗口',
  "the miner's messages": '矿工的消息',
  'its state after block {}': '区块 {0} 之后的状态',
  'the ticket of block {}': '区块 {0} 的票据',
  'message {} has too few parameters': '消息 {0} 的参数太少',
  'the chain keeps no more of {}': '链不再保留{0}',
  "the chain's answer cannot be read: {}": '链的答复无法读取：{0}',
};
