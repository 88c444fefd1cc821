//! The little linear algebra over the scalar field that the tables need: matrices of at most twelve rows.
//! Used by `schedule` only, once a process; clear rather than fast.

use blstrs::Scalar;
use ff::Field;

/// Rows of equal length.
pub(crate) type Matrix = Vec<Vec<Scalar>>;

pub(crate) fn identity(n: usize) -> Matrix {
    let entry = |i, j| if i == j { Scalar::ONE } else { Scalar::ZERO };
    (0..n).map(|i| (0..n).map(|j| entry(i, j)).collect()).collect()
}

pub(crate) fn dot(a: &[Scalar], b: &[Scalar]) -> Scalar {
    a.iter().zip(b).map(|(x, y)| *x * y).sum()
}

/// The row vector `row`·`matrix`.
pub(crate) fn row_times(row: &[Scalar], matrix: &Matrix) -> Vec<Scalar> {
    let columns = matrix.first().map_or(0, Vec::len);
    (0..columns)
        .map(|j| row.iter().zip(matrix).map(|(x, other)| *x * other[j]).sum())
        .collect()
}

pub(crate) fn times(a: &Matrix, b: &Matrix) -> Matrix {
    a.iter().map(|row| row_times(row, b)).collect()
}

/// Gauss and Jordan's elimination; `None` if there is no inverse.
pub(crate) fn inverse(matrix: &Matrix) -> Option<Matrix> {
    let n = matrix.len();
    let with_identity = matrix.iter().zip(identity(n));
    let mut m: Matrix = with_identity
        .map(|(row, unit)| row.iter().copied().chain(unit).collect())
        .collect();
    for column in 0..n {
        let pivot = (column..n).find(|row| m[*row][column] != Scalar::ZERO)?;
        m.swap(column, pivot);
        let scale = Option::<Scalar>::from(m[column][column].invert())?;
        m[column].iter_mut().for_each(|x| *x *= scale);
        let pivot_row = m[column].clone();
        for (_, row) in m.iter_mut().enumerate().filter(|(i, _)| *i != column) {
            let factor = row[column];
            row.iter_mut().zip(&pivot_row).for_each(|(x, y)| *x -= factor * y);
        }
    }
    Some(m.into_iter().map(|row| row[n..].to_vec()).collect())
}

/// The coefficients of x^n, x^(n-1), …, 1 of the characteristic polynomial (Faddeev and LeVerrier).
pub(crate) fn characteristic_polynomial(a: &Matrix) -> Vec<Scalar> {
    let n = a.len();
    let mut coefficients = vec![Scalar::ONE];
    let mut m = identity(n);
    for k in 1..=n {
        m = times(a, &m);
        let trace: Scalar = (0..n).map(|i| m[i][i]).sum();
        let inverse_k = Scalar::from(k as u64)
            .invert()
            .expect("k is between 1 and n, far below the field's order");
        let c = -trace * inverse_k;
        coefficients.push(c);
        (0..n).for_each(|i| m[i][i] += c);
    }
    coefficients
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hilbert(n: usize) -> Matrix {
        let entry = |k: usize| Scalar::from(k as u64).invert().unwrap();
        (0..n).map(|i| (0..n).map(|j| entry(n + i + j)).collect()).collect()
    }

    #[test]
    fn a_matrix_times_its_inverse_is_the_identity() {
        let m = hilbert(9);
        assert_eq!(times(&m, &inverse(&m).unwrap()), identity(9));
    }

    #[test]
    fn a_singular_matrix_has_no_inverse() {
        let mut m = hilbert(4);
        m[3] = m[0].iter().map(ff::Field::double).collect();
        assert_eq!(inverse(&m), None);
    }

    #[test]
    fn a_matrix_is_a_root_of_its_characteristic_polynomial() {
        let m = hilbert(8);
        let mut sum = vec![vec![Scalar::ZERO; 8]; 8];
        for c in characteristic_polynomial(&m) {
            sum = times(&sum, &m);
            (0..8).for_each(|i| sum[i][i] += c);
        }
        assert!(sum.iter().flatten().all(|x| *x == Scalar::ZERO));
    }
}
