//! How stamps, digests and cursors are written: as one integer, as sixteen bytes, as `[[epoch, place, …], latest, latest - mark]`.

use minicbor::{Decode, Encode};

use super::version::length;
use crate::{defaults::TRAIL_KEPT, digest::Digest, epoch::Cursor, hlc::Hlc};

impl<C> Encode<C> for Hlc {
    fn encode<W: minicbor::encode::Write>(
        &self,
        out: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        out.u64(self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Hlc {
    fn decode(decoder: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        decoder.u64().map(Hlc)
    }
}

impl<C> Encode<C> for Digest {
    fn encode<W: minicbor::encode::Write>(
        &self,
        out: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        out.bytes(&self.0.to_be_bytes())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Digest {
    fn decode(decoder: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let bytes = decoder
            .bytes()?
            .try_into()
            .map_err(|_| minicbor::decode::Error::message("a digest has 16 bytes"))?;
        Ok(Self(u128::from_be_bytes(bytes)))
    }
}

impl<C> Encode<C> for Cursor {
    fn encode<W: minicbor::encode::Write>(
        &self,
        out: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        out.array(3)?.array(2 * self.trail.len() as u64)?;
        for &(epoch, place) in &self.trail {
            out.u64(epoch)?.u64(place)?;
        }
        // at the end of the log the mark is the latest stamp
        out.u64(self.latest.0)?.u64(self.latest.0.wrapping_sub(self.mark.0))?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Cursor {
    fn decode(decoder: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        decoder.array()?;
        let items = length(decoder.array()?, 2 * TRAIL_KEPT)?;
        let trail = (0..items / 2).map(|_| Ok((decoder.u64()?, decoder.u64()?)));
        let trail = trail.collect::<Result<_, minicbor::decode::Error>>()?;
        let latest = decoder.u64()?;
        let mark = Hlc(latest.wrapping_sub(decoder.u64()?));
        Ok(Self { trail, mark, latest: Hlc(latest) })
    }
}
